import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import t, { type Test } from 'tap'
import { compiledHub } from '../support/compiled-hub.ts'
import { CrowdMember, dial, gather, type HubAddress, join, streamRequest } from '../support/crowd.ts'
import { effort } from '../support/effort.ts'
import { selfSigned } from '../support/self-signed.ts'
import { StandaloneHub } from '../support/standalone-hub.ts'
import { post, SteadyPublisher } from '../support/steady-publisher.ts'
import { StreamReader } from '../support/stream-reader.ts'

/** Number of open streams when the hub is stopped; over TLS, where each costs a handshake, a fifth of it. */
const STREAMS = Number(process.env.DRAIN_STREAMS ?? effort(300, 2_000))
const TLS_STREAMS = Number(process.env.DRAIN_TLS_STREAMS ?? Math.ceil(STREAMS / 5))
const PUBLISHERS = 4
const STALLED = 3
/** The maximum duration of a stop that the hub promises, in milliseconds. */
const PROMISED = 10_000
const SHUTDOWN = '{"reason":"shutdown","reconnect":true}'

t.comment(`DRAIN_STREAMS=${STREAMS} DRAIN_TLS_STREAMS=${TLS_STREAMS}`)

const folder = await compiledHub()
// From here on: compiling may take its time.
t.setTimeout(120_000 + STREAMS * 20)
const home = mkdtempSync(joinPath(tmpdir(), 'drain-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
const { cert, key } = selfSigned()
const TLS = { HUB_TLS_CERT: joinPath(home, 'cert.pem'), HUB_TLS_KEY: joinPath(home, 'key.pem') }
writeFileSync(TLS.HUB_TLS_CERT, cert)
writeFileSync(TLS.HUB_TLS_KEY, key)

interface Started {
  readonly hub: StandaloneHub
  readonly url: string
  readonly address: HubAddress
}

async function start(t: Test, env: Record<string, string>): Promise<Started> {
  const hub = new StandaloneHub(t, folder, env)
  const url = await hub.url()
  const ca = env.HUB_TLS_CERT === undefined ? undefined : cert
  return { hub, url, address: { port: Number(new URL(url).port), ca } }
}

/** Clients that read nothing, and whose pending events exceed all buffers. */
async function stall({ url, address }: Started): Promise<CrowdMember[]> {
  const stalled = await gather(address, Array(STALLED).fill('stalled'))
  for (const { socket } of stalled) socket.pause()
  const body = JSON.stringify({ data: 'x'.repeat(60_000) })
  for (let event = 0; event < 240; event++) await post(`${url}/users/stalled/events`, body, { ca: address.ca })
  return stalled
}

/** A request whose last byte is not sent yet. */
async function unfinished(address: HubAddress, request: string): Promise<{ member: CrowdMember; finish: () => void }> {
  const socket: Socket = await dial(address)
  const member = new CrowdMember('', socket)
  socket.write(request.slice(0, -1))
  return { member, finish: () => socket.write(request.slice(-1)) }
}

function postRequest(user: string, data: string): string {
  const body = JSON.stringify({ data })
  const headers = `Host: localhost\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: ${body.length}`
  return `POST /users/${user}/events HTTP/1.1\r\n${headers}\r\n\r\n${body}`
}

function counted(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`)
}

for (const [name, streams, env] of [
  ['HTTP', STREAMS, {}],
  ['TLS', TLS_STREAMS, TLS]
] as const) {
  t.test(
    `${name}: a stop under load ends every stream with a retryable close, finishes open requests, and loses nothing`,
    async (t) => {
      const store = { HUB_STORE: joinPath(home, `store-${name}`), ...env }
      const first = await start(t, store)
      const { hub, url, address } = first
      const members = await gather(address, counted(streams, 'u'))
      const readers = await gather(address, counted(PUBLISHERS, 'p'))
      const stalled = await stall(first)
      const publishers = readers.map(({ user }) => new SteadyPublisher(url, user, address.ca))
      await Promise.all(publishers.map((publisher) => publisher.reached(20)))
      const late = await unfinished(address, postRequest('u0', 'begun before the stop'))
      const newcomer = await unfinished(address, streamRequest('newcomer'))
      const silent = new CrowdMember('', await dial(address))
      // Answered on a later connection: all of them have been accepted.
      await post(`${url}/users/u0/events`, '{"data":"before"}', { ca: address.ca })

      const begin = performance.now()
      hub.child.kill('SIGTERM')
      await Promise.race(members.map((member) => member.has('event: hub.close')))
      const firstClose = performance.now() - begin
      hub.child.kill('SIGTERM')
      late.finish()
      newcomer.finish()
      await Promise.all(members.map((member) => member.gone()))
      const lastEnd = performance.now() - begin
      t.equal(await hub.ended(), 0)
      const took = performance.now() - begin
      const stalls = hub.longestStall
      t.comment(
        `${streams} streams: first close after ${Math.round(firstClose)} ms, all ended after ${Math.round(lastEnd)} ms, ` +
          `the process after ${Math.round(took)} ms; longest stall ${stalls.toFixed(1)} ms`
      )
      t.ok(took < PROMISED, `it stopped in ${Math.round(took)} ms`)
      t.equal(hub.complaints, '')

      const parsers = members.map(({ parser }) => parser)
      t.equal(
        parsers.filter((parser) => parser.isAtBoundary && parser.events.at(-1)?.data === SHUTDOWN).length,
        streams
      )
      const times = new Set(parsers.map(({ reconnectionTime }) => reconnectionTime))
      t.ok(times.size > streams / 20, `they have ${times.size} different reconnection times`)

      await Promise.all([late.member.gone(), newcomer.member.gone(), silent.gone()])
      t.match(late.member.head, /^HTTP\/1\.1 202 /, 'requests under way are accepted')
      t.match(newcomer.member.head, /^HTTP\/1\.1 200 /, 'a status that an event source would treat as the end for good')
      t.same(
        newcomer.member.parser.events.map(({ data }) => data),
        [SHUTDOWN]
      )
      t.ok((newcomer.member.parser.reconnectionTime ?? 0) > 0)
      for (const { socket } of stalled) socket.resume()
      await Promise.all(stalled.map((member) => member.gone()))

      const second = await start(t, { ...store, PORT: `${address.port}` })
      const back = await Promise.all(
        readers.map(({ user, parser }) => join(second.address, user, parser.lastEventId || undefined))
      )
      await Promise.all(publishers.map((publisher) => publisher.reached(publisher.accepted + 20)))
      await Promise.all(publishers.map((publisher) => publisher.stop()))
      const retries = publishers.reduce((sum, publisher) => sum + publisher.retries, 0)
      t.comment(`${publishers.reduce((sum, { accepted }) => sum + accepted, 0)} published, ${retries} retries`)
      for (const [index, { user, accepted }] of publishers.entries()) {
        const [before, after] = [readers[index], back[index]] as [CrowdMember, CrowdMember]
        await after.has(`\ndata: ${accepted - 1}\n`)
        const got = [before, after].flatMap(({ parser }) => parser.events.filter(({ event }) => event === 'message'))
        t.same(
          got.map(({ data }) => Number(data)),
          Array.from({ length: accepted }, (_, number) => number),
          `${user}: each once, in order`
        )
      }
      const returned = await join(second.address, 'u0', parsers[0]?.lastEventId)
      await returned.has('begun before the stop')
      for (const { socket } of [...back, returned]) socket.destroy()
      second.hub.child.kill('SIGTERM')
      t.equal(await second.hub.ended(), 0)
    }
  )
}

t.test('HTTP/2: a publish under way on a session is finished, and idle sessions end', async (t) => {
  const { hub, url } = await start(t, { HUB_STORE: 'memory', ...TLS })
  const [busy, idle] = [connectHttp2(url, { ca: cert }), connectHttp2(url, { ca: cert })]
  for (const session of [busy, idle]) {
    session.on('error', () => {})
    t.teardown(() => session.destroy())
  }
  const health = idle.request({ ':path': '/health/live' }).resume()
  await once(health, 'close')
  const reader = new StreamReader(busy.request({ ':path': '/events?user=alice' }))
  await reader.event('hub.welcome')
  const headers = { ':method': 'POST', ':path': '/users/alice/events', 'content-type': 'application/json' }
  const publish = busy.request(headers)
  publish.write('{"data":')
  // Answered in order: the request has arrived.
  await new Promise((resolve) => busy.ping(resolve))
  hub.child.kill('SIGTERM')
  await reader.event('hub.close')
  publish.end('1}')
  const [{ ':status': status }] = await once(publish, 'response')
  t.equal(status, 202)
  publish.resume()
  t.equal(await hub.ended(), 0)
  t.equal(hub.complaints, '')
})

for (const [name, env] of [
  ['HTTP', {}],
  ['TLS', TLS]
] as const) {
  t.test(`${name}: requests that never end do not keep it from an orderly stop`, async (t) => {
    const { hub, url, address } = await start(t, { HUB_STORE: 'memory', ...env })
    await post(`${url}/users/alice/events`, '{"data":1}', { ca: address.ca })
    const stuck = await Promise.all([
      unfinished(address, postRequest('alice', 'never')),
      unfinished(address, streamRequest('alice'))
    ])
    // This connection came later, so that they have been accepted.
    const member = await join(address, 'alice')
    const begin = performance.now()
    hub.child.kill('SIGTERM')
    await member.has('event: hub.close')
    t.equal(await hub.ended(), 0)
    const took = performance.now() - begin
    t.ok(took < PROMISED, `it stopped in ${Math.round(took)} ms`)
    await Promise.all(stuck.map(({ member }) => member.gone()))
    t.equal(hub.complaints, '')
  })
}
