import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compiledHub } from '../support/compiled-hub.ts'
import { FLAG, FRAME, frame, Http2Frames, headerBlock, SETTING, settings } from '../support/http2-frames.ts'
import { Innocent } from '../support/innocent.ts'
import { type Cost, costOf, show } from '../support/process-cost.ts'
import { selfSigned } from '../support/self-signed.ts'
import { ServerProcess } from '../support/server-process.ts'

t.setTimeout(600_000)

const KEY = 'k'.repeat(43)
/** The attackers' key: each key has its own rate. */
const ATTACKER_KEY = 'a'.repeat(43)
/** The maximum delay that the server may cause the innocent user, in milliseconds. */
const PATIENCE = 1_000
/**
 * How long each attack continues after its last byte, and how long its resources may take to be freed, in milliseconds.
 */
const SETTLE_TIME = 3_000
const MAX_LEFT = 45_000
/** Descriptors and memory that an attack may leave in use. */
const DESCRIPTORS_LEFT = 5
const MIB_AT_PEAK = 400
const sleep = (time: number) => new Promise((resolve) => setTimeout(resolve, time))

/** Connections that stay open until the attack is over. */
class Crowd {
  readonly #retained: { destroy(): unknown }[] = []

  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  /** Opens plain connections that send a text and never read. */
  async plain(count: number, text: string): Promise<void> {
    for (let at = 0; at < count; at++) {
      const socket: Socket = connect({ port: this.#port, host: '127.0.0.1' })
      socket.on('error', () => {})
      socket.pause()
      this.#retained.push(socket)
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {})
      if (text !== '') socket.write(text, 'latin1')
      await sleep(2)
    }
  }

  /** Opens HTTP/2 connections that each run a function. */
  async http2(
    count: number,
    act: (client: Http2Frames) => Promise<void> | void,
    values: readonly (readonly [number, number])[] = []
  ): Promise<void> {
    for (let at = 0; at < count; at++) {
      const client = await Http2Frames.open(this.#port, values).catch(() => undefined)
      if (client === undefined) continue
      this.#retained.push(client.socket)
      await act(client)
      await sleep(2)
    }
  }

  leave(): void {
    for (const socket of this.#retained) socket.destroy()
  }
}

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: hub\r\n\r\n`
const POST = 'POST /broadcast HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n'
const NO_WINDOW = [[SETTING.initialWindowSize, 0]] as const

/** Fills the history of one user up to its bound in bytes: 16 MiB by default. */
async function fillHistory(url: string): Promise<void> {
  const events = Array.from({ length: 100 }, () => ({ to: { users: ['mallory'] }, data: 'x'.repeat(60_000) }))
  for (let batch = 0; batch < 3; batch++) {
    const response = await fetch(`${url}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${ATTACKER_KEY}` },
      body: JSON.stringify(events)
    })
    t.equal(response.status, 202)
  }
}

const ATTACKS: Record<'HTTP' | 'HTTPS', Record<string, (crowd: Crowd, url: string) => Promise<unknown>>> = {
  HTTP: {
    'pipelines the page and reads nothing': (crowd) => crowd.plain(35, GET('/licences.txt').repeat(2_800)),
    'pipelines what is not found': (crowd) => crowd.plain(35, GET('/none').repeat(2_800)),
    'pipelines expectations': (crowd) =>
      crowd.plain(35, GET('/').replace('\r\n\r\n', '\r\nExpect: x\r\n\r\n').repeat(1_500)),
    'pipelines without a Host': (crowd) => crowd.plain(35, 'GET / HTTP/1.1\r\n\r\n'.repeat(2_800)),
    'pipelines calls without a key': (crowd) =>
      crowd.plain(35, `${POST}Content-Length: 10\r\n\r\n{"data":1}`.repeat(700)),
    'sends half of its headers': (crowd) => crowd.plain(500, 'GET /events HTTP/1.1\r\nHost: hub\r\nX: '),
    'sends nothing': (crowd) => crowd.plain(500, ''),
    'never finishes a body': (crowd) => crowd.plain(500, `${POST}Content-Length: 1000\r\n\r\n{`),
    'asks for long histories and reads nothing': async (crowd, url) => {
      await fillHistory(url)
      const ask = GET('/users/mallory/events?limit=1000').replace(
        'Host',
        `Authorization: Bearer ${ATTACKER_KEY}\r\nHost`
      )
      await crowd.plain(40, ask.repeat(4))
    },
    'opens more connections than it may': (crowd) => crowd.plain(1_500, GET('/health/live'))
  },
  HTTPS: {
    'leaves answers without a window, breaks the protocol and closes': (crowd) =>
      crowd.http2(
        150,
        async (client) => {
          client.request(1, 'GET', '/events')
          await client.frame(FRAME.headers, 1)
          client.send(frame(FRAME.data, FLAG.none, 0, Buffer.from('x')))
          await sleep(5)
          client.socket.destroy()
        },
        NO_WINDOW
      ),
    'leaves the page without a window': (crowd) =>
      crowd.http2(
        50,
        (client) => {
          for (let stream = 1; stream < 200; stream += 2) client.request(stream, 'GET', '/licences.txt')
        },
        NO_WINDOW
      ),
    'resets its requests': (crowd) =>
      crowd.http2(20, async (client) => {
        for (let stream = 1; stream < 4_000 && !client.isClosed; stream += 2) {
          client.request(stream, 'GET', '/events')
          client.send(frame(FRAME.reset, FLAG.none, stream, Buffer.from([0, 0, 0, 8])))
          if (stream % 101 === 0) await sleep(1)
        }
      }),
    'sends half of its headers': (crowd) =>
      crowd.http2(200, (client) => client.request(1, 'GET', '/events', { flags: FLAG.endStream })),
    'sends CONTINUATION without end': (crowd) =>
      crowd.http2(20, async (client) => {
        client.request(1, 'GET', '/events', { flags: FLAG.endStream })
        const more = frame(FRAME.continuation, FLAG.none, 1, Buffer.from([0, 1, 97, 1, 98]))
        for (let count = 0; count < 1_000 && !client.isClosed; count++) {
          client.send(more)
          if (count % 50 === 0) await sleep(1)
        }
      }),
    'never finishes bodies': (crowd) =>
      crowd.http2(50, (client) => {
        const headers = { 'content-type': 'application/json', authorization: `Bearer ${ATTACKER_KEY}` }
        for (let stream = 1; stream < 40; stream += 2) {
          client.request(stream, 'POST', '/broadcast', { headers, flags: FLAG.endHeaders })
          client.send(frame(FRAME.data, FLAG.none, stream, Buffer.from('{')))
        }
      }),
    'sends pings without end': (crowd) =>
      crowd.http2(10, async (client) => {
        client.socket.pause()
        const pings = Buffer.concat(Array.from({ length: 100 }, () => frame(FRAME.ping, FLAG.none, 0, Buffer.alloc(8))))
        for (let count = 0; count < 100 && !client.isClosed; count++) {
          client.send(pings)
          await sleep(1)
        }
      }),
    'sends settings without end': (crowd) =>
      crowd.http2(10, async (client) => {
        client.socket.pause()
        const many = Buffer.concat(Array.from({ length: 100 }, () => settings([[SETTING.initialWindowSize, 65_535]])))
        for (let count = 0; count < 100 && !client.isClosed; count++) {
          client.send(many)
          await sleep(1)
        }
      }),
    'sends unknown methods': (crowd) =>
      crowd.http2(10, async (client) => {
        for (let stream = 1; stream < 2_000 && !client.isClosed; stream += 2) {
          client.send(frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, stream, headerBlock('FOO', '/')))
          if (stream % 101 === 0) await sleep(1)
        }
      }),
    'begins handshakes and no more': (crowd) => crowd.plain(300, '\x16\x03\x01\x02\x00\x01')
  }
}

async function start(t: Test, protocol: keyof typeof ATTACKS) {
  const folder = mkdtempSync(join(tmpdir(), 'hub-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const { cert, key } = selfSigned()
  writeFileSync(join(folder, 'cert.pem'), cert)
  writeFileSync(join(folder, 'key.pem'), key)
  const tls = { HUB_TLS_CERT: join(folder, 'cert.pem'), HUB_TLS_KEY: join(folder, 'key.pem') }
  const server = new ServerProcess(
    t,
    {
      ...(protocol === 'HTTPS' ? tls : {}),
      ...{
        HUB_API_KEYS: `all:${KEY}:publish,ticket,read; attacker:${ATTACKER_KEY}:publish,read`,
        HOST: '127.0.0.1',
        LOG_LEVEL: 'warn'
      },
      ...{ HUB_MAX_CONNECTIONS_PER_ADDRESS: '1000', HUB_REQUEST_TIMEOUT: '5000', HUB_STALL_TIMEOUT: '5000' }
    },
    [process.execPath, join(await compiledHub(), 'server.js')]
  )
  const url = (await server.url()).replace('127.0.0.1', 'localhost')
  return { server, url, ca: protocol === 'HTTPS' ? cert : undefined }
}

for (const protocol of ['HTTP', 'HTTPS'] as const) {
  t.test(`over ${protocol} no attack disturbs a stream with a steady publisher`, async (t) => {
    const { server, url, ca } = await start(t, protocol)
    const pid = server.child.pid as number
    const innocent = await Innocent.open({ url, key: KEY, ca, pid })
    await sleep(SETTLE_TIME)
    const calm = innocent.takeWorst()
    t.comment(`without an attack the innocent waits ${calm.byServer} ms at most (${calm.wall} by the wall clock)`)
    for (const [what, attack] of Object.entries(ATTACKS[protocol])) {
      const before = costOf(pid)
      const peak = { ...before }
      const watch = setInterval(() => watchCost(pid, peak), 50)
      innocent.takeWorst()
      const begun = performance.now()
      const crowd = new Crowd(Number(new URL(url).port))
      await attack(crowd, url)
      await sleep(SETTLE_TIME)
      watchCost(pid, peak)
      crowd.leave()
      clearInterval(watch)
      const took = Math.round(performance.now() - begun)
      const left = await untilGone(innocent, pid, before)
      const after = costOf(pid)
      const worst = innocent.takeWorst()
      t.comment(`${what}, ${took} ms: before ${show(before)}; peak ${show(peak)}; ${left} ms later ${show(after)}`)
      const waits = `${worst.byServer} ms at most (${worst.wall} by the wall clock)`
      t.ok(worst.byServer <= PATIENCE, `${what}: the server makes the innocent wait ${waits}`)
      t.ok(after.descriptors <= before.descriptors + DESCRIPTORS_LEFT, `${what}: descriptors are free after ${left} ms`)
      t.ok(peak.memory <= before.memory + MIB_AT_PEAK, `${what}: ${peak.memory - before.memory} MiB more at the peak`)
    }
    const { published, faults } = await innocent.stop()
    t.same(faults, [], `all ${published} events arrived, in order`)
    t.equal(server.child.exitCode, null)
    const lines = server.stdout.split('\n').length
    t.ok(lines < 100, `${lines} lines of the log: ${server.stdout.slice(0, 2_000)}`)
    t.equal(server.stderr, '')
    server.child.kill('SIGTERM')
    t.equal(await server.ended(), 0)
  })
}

function watchCost(pid: number, peak: { -readonly [Name in keyof Cost]: Cost[Name] }): void {
  const now = costOf(pid)
  for (const name of ['memory', 'descriptors', 'cpu'] as const) peak[name] = Math.max(peak[name], now[name])
}

/** How long it takes until descriptors are free and events arrive at once, or until the patience is used up. */
async function untilGone(innocent: Innocent, pid: number, { descriptors }: Cost): Promise<number> {
  const begun = performance.now()
  const hasGone = () => innocent.pending <= 1 && costOf(pid).descriptors <= descriptors + DESCRIPTORS_LEFT
  while (!hasGone() && performance.now() - begun < MAX_LEFT) await sleep(100)
  return Math.round(performance.now() - begun)
}
