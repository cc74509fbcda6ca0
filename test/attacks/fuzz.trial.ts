import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import Fastify from 'fastify'
import t from 'tap'
import { hubApp } from '../../app.ts'
import { type Call, callOf, collectRoutes } from '../support/api-calls.ts'
import { compiledHub } from '../support/compiled-hub.ts'
import { effort } from '../support/effort.ts'
import { SEED } from '../support/fuzz.ts'
import { FLAG, frame, Http2Frames, headerBlock } from '../support/http2-frames.ts'
import { Innocent } from '../support/innocent.ts'
import { costOf, show } from '../support/process-cost.ts'
import { Random } from '../support/random.ts'
import { selfSigned } from '../support/self-signed.ts'
import { ServerProcess } from '../support/server-process.ts'

/** Duration of the attack on each protocol, in seconds. */
const SECONDS = Number(process.env.FUZZ_SECONDS ?? effort(30, 30))
/** Number of simultaneous attackers, and how long each waits for an answer, in milliseconds. */
const ATTACKERS = 4
const PATIENCE = 1_000
/** The maximum delay that the server may cause the innocent user, in milliseconds. */
const MAX_WAIT = 1_000
const MIB_LEFT = 300
const DESCRIPTORS_LEFT = 5
/** Number of simultaneous calls: more would keep the innocent user from noticing its events. */
const BATCH = 10

t.setTimeout((2 * SECONDS + 240) * 1_000)
t.comment(`TEST_SEED=${SEED} FUZZ_SECONDS=${SECONDS}`)

const KEY = 'k'.repeat(43)
/** A key for every user but not for everyone: all events of the innocent user come from its own publisher. */
const FUZZ_KEY = 'f'.repeat(43)
const HUB_KEYS = `all:${KEY}:publish,ticket,read;fuzz:${FUZZ_KEY}:user:*,topic:*,read,close,ticket`
const sleep = (time: number) => new Promise((resolve) => setTimeout(resolve, time))

interface Report {
  readonly counts: Record<string, number>
  readonly faults: string[]
}

/** An endless sequence of calls that the schemas of the API describe. */
async function* calls(seed: number): AsyncGenerator<Call> {
  const app = Fastify({ routerOptions: { maxParamLength: 768 } })
  const routes = collectRoutes(app)
  await app.register(hubApp, { loopbackOnly: false })
  await app.ready()
  await app.close()
  const call = fc.nat(routes.length - 1).chain((at) => callOf(routes[at]!))
  for (let round = 0; ; round++) yield* fc.sample(call, { seed: seed + round, numRuns: BATCH })
}

function count(report: Report, what: string): void {
  report.counts[what] = (report.counts[what] ?? 0) + 1
}

/** An answer must not be an internal error; an error has a code and shows nothing internal. */
function judge(report: Report, call: Call, status: number, body: string): void {
  count(report, `${status}`)
  const shows = `${call.method} ${call.url.slice(0, 200)} answered ${status}: ${body.slice(0, 300)}`
  if (status >= 500 && status !== 501) report.faults.push(shows)
  if (/\n\s+at |node_modules|\.[jt]s:\d/.test(body)) report.faults.push(shows)
}

/** Sends raw bytes as an HTTP/1 request; returns the answer up to its end, an event, or a timeout. */
async function sendPlain(port: number, bytes: Buffer): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  let text = ''
  const done = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, PATIENCE)
    socket.on('data', (chunk) => {
      text += chunk
      if (text.includes('text/event-stream')) resolve()
    })
    for (const event of ['end', 'error', 'close']) socket.once(event, () => resolve())
    socket.once('close', () => clearTimeout(timer))
  })
  socket.write(bytes)
  await done
  socket.destroy()
  return text
}

function textOf({ method, url, headers, payload }: Call, hasKey: boolean): string {
  const body = payload === undefined ? '' : `Content-Length: ${Buffer.byteLength(payload)}\r\n`
  const key = hasKey ? `Authorization: Bearer ${FUZZ_KEY}\r\n` : ''
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${key}${lines.join('')}${body}\r\n${payload ?? ''}`
}

/** Changes, removes, doubles or inserts a few bytes. */
function mutate(bytes: Buffer, random: Random): Buffer {
  let mutated = Buffer.from(bytes)
  for (let times = random.from(1, 4); times > 0 && mutated.length > 0; times--) {
    const at = random.from(0, mutated.length - 1)
    const end = Math.min(mutated.length, at + random.from(1, 20))
    const [before, piece, after] = [mutated.subarray(0, at), mutated.subarray(at, end), mutated.subarray(end)]
    const noise = Buffer.from(Array.from({ length: random.from(1, 8) }, () => random.from(0, 255)))
    const others = [
      [before, noise, after],
      [before, after],
      [before, piece, piece, after],
      [before, noise, piece, after]
    ]
    mutated = Buffer.concat(random.pick(others))
  }
  return mutated
}

async function attackPlain(port: number, random: Random, call: Call, report: Report): Promise<void> {
  const text = textOf(call, random.chance(0.6))
  if (random.chance(0.5)) {
    const answer = await sendPlain(port, Buffer.from(text))
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0)
    count(report, 'calls over HTTP/1')
    judge(report, call, status, answer.slice(answer.indexOf('\r\n\r\n') + 4))
  } else {
    const answer = await sendPlain(port, mutate(Buffer.from(text), random))
    count(report, 'raw over HTTP/1')
    if (/^HTTP\/1\.1 50[0-9] /.test(answer) && !answer.startsWith('HTTP/1.1 501'))
      report.faults.push(answer.slice(0, 400))
  }
}

async function attackHttp2(port: number, random: Random, call: Call, report: Report, ca: string): Promise<void> {
  if (random.chance(0.5)) {
    const session = connectHttp2(`https://localhost:${port}`, { ca })
    session.on('error', () => {})
    try {
      await callHttp2(session, call, random.chance(0.6), report)
    } finally {
      session.destroy()
    }
  } else await sendFrames(port, random, call, report)
}

async function callHttp2(session: ClientHttp2Session, call: Call, hasKey: boolean, report: Report): Promise<void> {
  const { method, url, payload } = call
  const headers: Record<string, string> = { ...call.headers, ':method': method, ':path': url }
  if (hasKey) headers.authorization = `Bearer ${FUZZ_KEY}`
  const stream = session.request(headers, { endStream: payload === undefined })
  let [status, body] = [0, '']
  const done = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, PATIENCE)
    stream.on('response', (head) => {
      status = Number(head[':status'])
      if (`${head['content-type']}`.startsWith('text/event-stream')) resolve()
    })
    stream.on('data', (chunk) => {
      body += chunk
    })
    for (const event of ['end', 'error', 'close']) stream.once(event, () => resolve())
    stream.once('close', () => clearTimeout(timer))
    session.once('error', () => resolve())
  })
  if (payload !== undefined) stream.end(payload)
  await done
  count(report, 'calls over HTTP/2')
  judge(report, call, status, body)
}

/** Frames of any type with any flags; some of them carry the headers of a call. */
async function sendFrames(port: number, random: Random, { method, url }: Call, report: Report): Promise<void> {
  const client = await Http2Frames.open(port).catch(() => undefined)
  if (client === undefined) return
  for (let left = random.from(1, 30); left > 0 && !client.isClosed; left--) {
    const stream = random.chance(0.2) ? random.from(0, 2 ** 31 - 1) : random.from(0, 20)
    if (random.chance(0.4)) {
      const block = headerBlock(method, url.slice(0, 100).replace(/[^\x21-\x7e]/g, '_'))
      const payload = random.chance(0.5) ? block : mutate(block, random)
      const flags = random.chance(0.7) ? FLAG.endHeaders | FLAG.endStream : random.from(0, 255)
      client.send(frame(1, flags, stream | 1, payload))
    } else {
      const payload = Buffer.from(Array.from({ length: random.from(0, 40) }, () => random.from(0, 255)))
      const type = random.from(0, 12)
      client.send(random.chance(0.9) ? frame(type, random.from(0, 255), stream, payload) : payload)
    }
    if (random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve))
  }
  count(report, 'raw over HTTP/2')
  client.socket.destroy()
  if (!client.isClosed) await Promise.race([once(client.socket, 'close'), sleep(PATIENCE)])
}

for (const protocol of ['HTTP/1', 'HTTP/2'] as const) {
  t.test(`over ${protocol}, the hub answers any call or bytes correctly and continues to serve`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'hub-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const { cert, key } = selfSigned()
    const paths = { HUB_TLS_CERT: join(folder, 'cert.pem'), HUB_TLS_KEY: join(folder, 'key.pem') }
    writeFileSync(paths.HUB_TLS_CERT, cert)
    writeFileSync(paths.HUB_TLS_KEY, key)
    const limits = { HUB_RATE_LIMIT: '0', HUB_HISTORY_BYTES: '16777216', HUB_REQUEST_TIMEOUT: '5000' }
    const env = { ...(protocol === 'HTTP/2' ? paths : {}), ...limits, HUB_API_KEYS: HUB_KEYS, HOST: '127.0.0.1' }
    const server = new ServerProcess(t, env, [process.execPath, join(await compiledHub(), 'server.js')])
    const url = (await server.url()).replace('127.0.0.1', 'localhost')
    const port = Number(new URL(url).port)
    const pid = server.child.pid as number
    const innocent = await Innocent.open({ url, key: KEY, ca: protocol === 'HTTP/2' ? cert : undefined, pid })
    await sleep(2_000)
    const before = costOf(pid)
    innocent.takeWorst()

    const report: Report = { counts: {}, faults: [] }
    const end = performance.now() + SECONDS * 1_000
    const attacker = async (number: number) => {
      const random = new Random(SEED + number)
      for await (const call of calls(SEED + 1_000_000 * number)) {
        if (performance.now() > end || report.faults.length > 10 || server.child.exitCode !== null) return
        if (protocol === 'HTTP/1') await attackPlain(port, random, call, report)
        else
          await attackHttp2(port, random, call, report, cert).catch(() => count(report, 'refused by the client itself'))
      }
    }
    await Promise.all(Array.from({ length: ATTACKERS }, (_, number) => attacker(number)))

    t.same(report.faults, [])
    const { exitCode, signalCode } = server.child
    if (exitCode !== null || signalCode !== null)
      return t.fail(`the hub has ended: ${exitCode ?? signalCode}\n${server.stderr}\n${server.stdout.slice(-4_000)}`)
    const worst = innocent.takeWorst()
    const until = performance.now() + 60_000
    let after = costOf(pid)
    // Memory that is free is returned with the next collections.
    while (
      (after.descriptors > before.descriptors + DESCRIPTORS_LEFT || after.memory > before.memory + MIB_LEFT) &&
      performance.now() < until
    ) {
      await sleep(200)
      after = costOf(pid)
    }
    t.comment(JSON.stringify(report.counts))
    t.comment(`before ${show(before)}; after ${show(after)}`)
    t.ok(
      worst.byServer <= MAX_WAIT,
      `the innocent waits ${worst.byServer} ms at most (${worst.wall} by the wall clock)`
    )
    t.ok(after.descriptors <= before.descriptors + DESCRIPTORS_LEFT, 'all descriptors are free')
    t.ok(after.memory <= before.memory + MIB_LEFT, `${after.memory - before.memory} MiB more than before`)
    const { published, faults } = await innocent.stop()
    t.same(faults, [], `all ${published} events of the innocent arrived, in order`)
    const logged = server.stdout.replace(/^fastify-sse-hub: open .*\n/m, '') + server.stderr
    t.equal(logged, '', 'nothing is logged as an error')
    server.child.kill('SIGTERM')
    t.equal(await server.ended(), 0)
  })
}
