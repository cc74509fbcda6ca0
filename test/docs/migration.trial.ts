import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { linkedHost } from '../support/linked-host.ts'
import { install } from '../support/packed-host.ts'
import { allSnippets } from '../support/snippets.ts'
import { StreamClient } from '../support/stream-client.ts'

t.setTimeout(300_000)

/** The versions that the guides name, by guide. */
const PEERS = {
  'better-sse': ['better-sse@0.16.1'],
  'fastify-sse': ['@fastify/sse@0.6.0'],
  'fastify-sse-v2': ['fastify-sse-v2@4.2.2'],
  'socket-io': ['socket.io@4.8.4', 'socket.io-client@4.8.4']
}
const FIXTURE = join(import.meta.dirname, 'fixture')
const snippets = allSnippets()
const host = await linkedHost(t, FIXTURE)
const others = mkdtempSync(join(tmpdir(), 'sse-hub-peers-'))
t.teardown(() => rmSync(others, { recursive: true, force: true }))
writeFileSync(join(others, 'package.json'), JSON.stringify({ name: 'others', private: true, type: 'module' }))
copyFileSync(join(FIXTURE, 'elsewhere.mjs'), join(others, 'elsewhere.mjs'))
await install(others, 'fastify@5', ...Object.values(PEERS).flat())

const codesOf = (guide: string, language: string) =>
  snippets.filter((snippet) => snippet.language === language && snippet.where.startsWith(`docs/migration/${guide}.md:`))

const beforeOf = (t: Test, guide: string) => start(t, others, `${guide}.mjs`, codesOf(guide, 'mjs')[0]?.code)

function afterOf(t: Test, guide: string): Promise<string> {
  const example = codesOf(guide, 'ts').find(({ code }) => code.includes('app.listen('))
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 }
  const code = example && ts.transpileModule(example.code, { compilerOptions }).outputText
  return start(t, host, `${guide}.mjs`, code)
}

/** Starts the app of an example on a free port; returns its URL. */
async function start(t: Test, cwd: string, name: string, code = 'throw new Error("no example")'): Promise<string> {
  writeFileSync(join(cwd, name), code)
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn(process.execPath, ['--import', './elsewhere.mjs', name], {
    cwd,
    env: { ...env, PORTS: '{"3000":0}' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000
  })
  t.teardown(async () => {
    const gone = once(child, 'exit')
    if (child.kill('SIGKILL')) await gone
  })
  const complaint = text(child.stderr)
  const line = await Promise.race([once(createInterface(child.stdout), 'line').then(([line]) => line), complaint])
  if (!line.startsWith('listening ')) throw new Error(line)
  return `http://127.0.0.1:${line.slice('listening '.length)}`
}

async function post(url: string, body: object = {}): Promise<unknown> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  return response.json()
}

/** Ships an order to a user whose stream is open; returns the data that arrives. */
async function shipped(url: string): Promise<unknown> {
  const client = await StreamClient.open(`${url}/events?user=alice`)
  const name = 'order.shipped'
  // Some of the others listen only a moment after the head of their response.
  while (!client.events.some(({ event }) => event === name)) await post(`${url}/orders/42/ship`)
  const { data } = await client.event(name)
  client.cut()
  return JSON.parse(data)
}

for (const guide of ['better-sse', 'fastify-sse', 'fastify-sse-v2'])
  t.test(`the app of the guide ${guide} delivers the same event before and after`, async (t) => {
    t.same(await shipped(await beforeOf(t, guide)), { id: '42' })
    t.same(await shipped(await afterOf(t, guide)), { id: '42' })
  })

for (const guide of ['mercure', 'pusher'])
  t.test(`the app of the guide ${guide} delivers to its user`, async (t) => {
    t.same(await shipped(await afterOf(t, guide)), { id: '42' })
  })

t.test('a text that better-sse writes as JSON goes out as it is', async (t) => {
  const texts = []
  for (const url of [await beforeOf(t, 'better-sse'), await afterOf(t, 'better-sse')]) {
    const client = await StreamClient.open(`${url}/events?user=alice`)
    t.same(await post(`${url}/notice`), { sessions: 1 })
    texts.push((await client.event('notice')).data)
    client.cut()
  }
  t.same(texts, ['"maintenance at 8"', 'maintenance at 8'])
})

t.test('the app of the guide on Spring subscribes, sends, broadcasts, counts and closes', async (t) => {
  const url = await afterOf(t, 'spring')
  t.equal(await post(`${url}/send?clientId=alice&content=early`), false)
  const client = await StreamClient.open(`${url}/subscribe?clientId=alice`)
  await client.event('hub.welcome')
  const second = await StreamClient.open(`${url}/subscribe?clientId=alice`)
  await second.event('hub.welcome')
  t.equal(await (await fetch(`${url}/count`)).json(), 2)
  t.equal(await post(`${url}/send?clientId=alice&content=hello`), true)
  t.equal(await post(`${url}/broadcast?content=all`), 2)
  for (const tab of [client, second])
    t.same(
      (await tab.count(2)).map(({ data }) => data),
      ['hello', 'all']
    )
  t.equal(await post(`${url}/close?clientId=alice`), true)
  await Promise.all([client.end(), second.end()])
  const lastEventId = client.lastEventId
  t.equal((await StreamClient.open(`${url}/subscribe?clientId=alice`, { lastEventId })).status, 204)
})

t.test('the page of the guide on Socket.IO joins a room while its stream is open', async (t) => {
  const url = await afterOf(t, 'socket-io')
  const client = await StreamClient.open(`${url}/events?user=alice`)
  const { stream } = JSON.parse((await client.event('hub.welcome')).data)
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ topics: ['room-7'] })
  const { ok } = await fetch(`${url}/streams/${stream}/topics?user=alice`, { method: 'PUT', headers, body })
  t.ok(ok)
  await post(`${url}/rooms/room-7/lines`, { text: 'hi' })
  t.equal((await client.event('line')).data, '{"text":"hi"}')
  client.cut()
})

t.test('the examples of the guides on Spring and fastify-sse-v2 that take an app run in one', async (t) => {
  const examples = ['spring', 'fastify-sse-v2'].flatMap((guide) => codesOf(guide, 'ts'))
  const parts = examples.filter(({ code }) => code.includes("from './host.js'"))
  t.equal(parts.length, 3)
  const compile = (code: string) =>
    ts.transpileModule(code, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 } })
      .outputText
  writeFileSync(
    join(host, 'host.js'),
    "import Fastify from 'fastify'\nimport sseHub from 'fastify-sse-hub'\nexport const app = Fastify()\nawait app.register(sseHub)"
  )
  parts.forEach(({ code }, at) => {
    writeFileSync(join(host, `part-${at}.mjs`), compile(code))
  })
  const imports = parts.map((_, at) => `import './part-${at}.mjs'\n`).join('')
  const listen = "import { app } from './host.js'\nawait app.listen({ port: 3000 })"
  const url = await start(t, host, 'parts.mjs', imports + listen)

  const clock = await StreamClient.open(`${url}/events`)
  t.match((await clock.event('clock')).data, /^"\d{4}-/)
  clock.cut()
  const countdown = await StreamClient.open(`${url}/countdown`)
  await countdown.end()
  t.same(
    countdown.published.map(({ data }) => data),
    ['3', '2', '1']
  )
  const steps = await StreamClient.open(`${url}/steps`)
  await steps.end()
  t.equal(steps.published.length, 11)
  t.equal(steps.published.at(-1)?.data, '[Done]')
  t.match(steps.events.at(-1), { event: 'hub.close', data: '{"reason":"finished","reconnect":false}' })
})

/** Joins a room with Socket.IO, and prints each event as a line. */
const SOCKET_CLIENT = `
import { io } from 'socket.io-client'
const [, , url, user, room] = process.argv
const socket = io(url, { auth: { user } })
socket.onAny((name, data) => console.log(name + ' ' + JSON.stringify(data)))
socket.emit('join', room, () => console.log('joined'))
`

/** A client of Socket.IO that has joined a room; each event is a line. */
class RoomClient {
  readonly received: string[] = []
  readonly lines: Interface

  private constructor(child: ChildProcessByStdio<null, Readable, null>) {
    this.lines = createInterface(child.stdout)
  }

  static async join(t: Test, url: string, user: string): Promise<RoomClient> {
    const args = ['client.mjs', url, user, 'room-7']
    const child = spawn(process.execPath, args, { cwd: others, stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => void child.kill('SIGKILL'))
    const client = new RoomClient(child)
    await once(client.lines, 'line')
    client.lines.on('line', (line) => client.received.push(line))
    return client
  }

  async count(events: number): Promise<string[]> {
    while (this.received.length < events) await once(this.lines, 'line')
    return this.received
  }
}

t.test('the rooms of Socket.IO and the topics of the hub deliver to the same users', async (t) => {
  const delivered = ['line {"text":"hi"}', 'order.shipped {"id":"42"}']
  const publish = async (url: string) => {
    await post(`${url}/rooms/room-7/lines`, { text: 'hi' })
    await post(`${url}/orders/42/ship`)
  }
  const before = await beforeOf(t, 'socket-io')
  writeFileSync(join(others, 'client.mjs'), SOCKET_CLIENT)
  const members = await Promise.all(['alice', 'bob'].map((user) => RoomClient.join(t, before, user)))
  await publish(before)
  t.same(await members[0]?.count(2), delivered)
  t.same(members[1]?.received, [])

  const after = await afterOf(t, 'socket-io')
  const open = (user: string) => StreamClient.open(`${after}/events?user=${user}&topics=room-7`)
  const [alice, bob] = [await open('alice'), await open('bob')]
  await Promise.all([alice, bob].map((client) => client.event('hub.welcome')))
  await publish(after)
  const events = await alice.count(2)
  t.same(
    events.map(({ event, data }) => `${event} ${data}`),
    delivered
  )
  t.same(bob.published, [])
  for (const client of [alice, bob]) client.cut()
})
