import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FROM_SOURCE, ServerProcess } from '../support/server-process.ts'
import { StreamClient } from '../support/stream-client.ts'

t.setTimeout(120_000)

const DESCRIPTORS = 200
const READERS = 5

/** The hub as its users start it, with few descriptors. */
async function start(t: Test, store: string): Promise<{ child: ChildProcess; url: string; output: () => string }> {
  const limited = ['sh', '-c', `ulimit -n ${DESCRIPTORS} && exec "$@"`, 'sh', ...FROM_SOURCE]
  const server = new ServerProcess(t, { HUB_STORE: store }, limited)
  return { child: server.child, url: await server.url(), output: () => server.stdout + server.stderr }
}

/** Publishes over a connection that is already open. */
async function publish(agent: Agent, url: string, data: unknown): Promise<number> {
  const outgoing = request(`${url}/broadcast`, {
    agent,
    method: 'POST',
    headers: { 'content-type': 'application/json' }
  })
  outgoing.end(JSON.stringify({ data }))
  const [response] = await once(outgoing, 'response')
  response.resume()
  await once(response, 'end')
  return response.statusCode
}

/** Connects until a connection is no longer served, which shows that no descriptors are left. */
async function exhaust(t: Test, url: string): Promise<Socket[]> {
  const port = Number(new URL(url).port)
  const retained: Socket[] = []
  t.teardown(() => {
    for (const socket of retained) socket.destroy()
  })
  for (let tries = 0; tries < 3 * DESCRIPTORS; tries++) {
    const socket = connect({ port, host: '127.0.0.1' })
    const gone = new Promise((resolve) => socket.on('error', () => {}).once('close', () => resolve('refused')))
    socket.write('GET /events?user=crowd HTTP/1.1\r\nHost: hub\r\n\r\n')
    const answered = once(socket, 'data').then(
      () => 'served',
      () => 'refused'
    )
    if ((await Promise.race([answered, gone])) === 'refused') return retained
    retained.push(socket.resume())
  }
  throw new Error('no connection was ever refused')
}

for (const kind of ['memory', 'a folder']) {
  t.test(
    `a hub without free descriptors, with history in ${kind}, serves open connections, and accepts new ones later`,
    async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'hub-'))
      t.teardown(() => rmSync(folder, { recursive: true, force: true }))
      const { child, url, output } = await start(t, kind === 'memory' ? kind : join(folder, 'history'))
      const readers = await Promise.all(
        Array.from({ length: READERS }, () => StreamClient.open(`${url}/events?user=reader`))
      )
      await Promise.all(readers.map((reader) => reader.event('hub.welcome')))
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      t.teardown(() => agent.destroy())
      t.equal(await publish(agent, url, 'before'), 202)

      const retained = await exhaust(t, url)
      t.comment(`${retained.length} more were accepted`)
      t.ok(retained.length > DESCRIPTORS / 2)
      for (let round = 0; round < 20; round++) t.equal(await publish(agent, url, round), 202)
      for (const reader of readers) t.equal((await reader.count(21)).length, 21, 'the open streams get everything')
      t.equal(child.exitCode, null)

      for (const socket of retained.slice(0, 20)) socket.destroy()
      const late = await untilServed(url)
      t.equal(await publish(agent, url, 'after'), 202)
      await late.count(1)
      for (const reader of readers) await reader.count(22)
      late.cut()
      for (const socket of retained) socket.destroy()
      for (const reader of readers) reader.cut()
      agent.destroy()
      child.kill('SIGTERM')
      t.same(await once(child, 'exit'), [0, null], 'and it stops as usual')
      t.equal(output().split('\n').length, 2, `nothing is logged as an error: ${output()}`)
    }
  )
}

/** The descriptors of closed connections are free when the hub has noticed the close. */
async function untilServed(url: string): Promise<StreamClient> {
  for (let tries = 0; tries < 1_000; tries++) {
    const client = await StreamClient.open(`${url}/events?user=reader`).catch(() => undefined)
    if (client === undefined) continue
    await client.event('hub.welcome')
    return client
  }
  throw new Error('no connection is accepted any more')
}
