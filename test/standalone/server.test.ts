import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { get } from 'node:https'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { selfSigned } from '../support/self-signed.ts'
import { publish, ServerProcess } from '../support/server-process.ts'
import { StreamClient } from '../support/stream-client.ts'
import { StreamReader } from '../support/stream-reader.ts'
import { tokenOf } from '../support/tokens.ts'

// Each of the ten processes is compiled as it starts.
t.setTimeout(240_000)

/** Time for the process to stop, in milliseconds: far below the time after which it is killed. */
const PROMPT = 6_000

/** A client that reads nothing, with more pending than the buffers hold: its end takes a moment. */
async function stall(url: string): Promise<StreamClient> {
  const stalled = await StreamClient.open(`${url}/events?user=stalled`)
  await stalled.event('hub.welcome')
  stalled.pause()
  for (let event = 0; event < 400; event++) await publish(url, '/users/stalled/events', 'x'.repeat(60_000))
  return stalled
}

t.test('the server needs no configuration, prints its address, and serves the page, the API and streams', async (t) => {
  const server = new ServerProcess(t, {})
  const url = await server.url()
  t.match(url, /^http:\/\/127\.0\.0\.1:\d+$/)
  t.not(new URL(url).port, '0')
  t.equal(server.stdout.trim().split('\n').length, 1, 'exactly one line')

  const page = await fetch(`${url}/`)
  t.equal(page.status, 200)
  t.match(page.headers.get('content-security-policy'), /default-src 'none'.*script-src 'self'.*frame-ancestors 'none'/)
  const client = await StreamClient.open(`${url}/events?user=alice&topics=news`)
  await client.event('hub.welcome')
  await publish(url, '/users/alice/events', 1)
  await publish(url, '/topics/news/events', 2)
  await publish(url, '/broadcast', 3)
  t.same(
    (await client.count(3)).map(({ data }) => data),
    ['1', '2', '3']
  )
  await publish(url, `/users/${encodeURIComponent('😀'.repeat(64))}/events`, 'a name of 256 bytes')

  t.equal(await server.stop('SIGTERM'), 0)
  await client.end()
  t.match(client.events.at(-1), { event: 'hub.close', data: '{"reason":"shutdown","reconnect":true}' })
  t.ok(client.parser.isAtBoundary)
  t.equal(server.stderr, '')
})

t.test('the server stops on SIGINT as on SIGTERM, and ignores a repeated signal, as npm sends it', async (t) => {
  const server = new ServerProcess(t, {})
  const url = await server.url()
  const clients = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const client = await StreamClient.open(`${url}/events?user=alice`)
      await client.event('hub.welcome')
      return client
    })
  )
  const stalled = await stall(url)
  const start = performance.now()
  server.child.kill('SIGINT')
  // The server is stopping, and waits for the client that reads nothing.
  await clients[0]?.end()
  server.child.kill('SIGINT')
  t.equal(await server.stop('SIGTERM'), 0)
  t.comment(`stopped in ${Math.round(performance.now() - start)} ms`)
  t.ok(performance.now() - start < PROMPT)
  for (const client of clients) {
    await client.end()
    t.equal(client.events.at(-1)?.data, '{"reason":"shutdown","reconnect":true}')
  }
  stalled.cut()
  t.equal(server.stderr, '')
  t.equal(server.stdout.trim().split('\n').length, 1, 'no error is logged')
})

t.test('during the drain delay the server is not ready but serves, and another signal ends the delay', async (t) => {
  const server = new ServerProcess(t, { HUB_DRAIN_DELAY: '600000', LOG_LEVEL: 'info' })
  const url = await server.url()
  const status = (path: string) => fetch(url + path, { headers: { connection: 'close' } }).then(({ status }) => status)
  t.equal(await status('/health/ready'), 200)
  const first = performance.now()
  server.child.kill('SIGTERM')
  await server.logged('not ready; streams end in 600000 ms')
  // The repetition by npm does not count as another signal.
  server.child.kill('SIGTERM')
  t.equal(await status('/health/ready'), 503)
  t.equal(await status('/health/live'), 200)
  const client = await StreamClient.open(`${url}/events?user=alice`)
  await client.event('hub.welcome')
  await publish(url, '/users/alice/events', 'still served')
  t.equal((await client.count(1))[0]?.data, 'still served')
  // A signal counts as another one only after the time in which repetitions arrive.
  while (performance.now() - first < 600) await status('/health/live')
  t.equal(await server.stop('SIGTERM'), 0)
  await client.end()
  t.equal(client.events.at(-1)?.data, '{"reason":"shutdown","reconnect":true}')
  t.equal(server.stderr, '')
})

t.test('a restart with history in memory starts a new epoch, and clients get a reset', async (t) => {
  const first = new ServerProcess(t, {})
  const client = await StreamClient.open(`${await first.url()}/events?user=alice`)
  await client.event('hub.welcome')
  await publish(await first.url(), '/users/alice/events', 'before')
  await client.count(1)
  first.child.kill('SIGKILL')
  await first.ended()
  await client.end()

  const second = new ServerProcess(t, { PORT: new URL(await first.url()).port })
  const url = await second.url()
  await publish(url, '/users/alice/events', 'after')
  const back = await StreamClient.open(`${url}/events?user=alice`, { lastEventId: client.lastEventId })
  t.same(
    (await back.count(1)).map(({ data }) => data),
    ['after']
  )
  t.match(JSON.parse((await back.event('hub.gap')).data), { from: client.lastEventId, reason: 'reset' })
  t.equal(await second.stop('SIGTERM'), 0)
})

t.test('after a restart with history in a folder, also by kill -9, a client gets exactly what it missed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hub-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const env = { HUB_STORE: join(folder, 'history'), LOG_LEVEL: 'info' }
  const first = new ServerProcess(t, env)
  const client = await StreamClient.open(`${await first.url()}/events?user=alice&topics=news`)
  await client.event('hub.welcome')
  await publish(await first.url(), '/users/alice/events', 'seen')
  await client.count(1)
  client.cut()
  await publish(await first.url(), '/users/bob/events', 'not hers')
  await publish(await first.url(), '/users/alice/events', 'missed 1')
  await publish(await first.url(), '/topics/news/events', 'missed 2')
  await publish(await first.url(), '/broadcast', 'missed 3')

  const other = new ServerProcess(t, env)
  t.equal(await other.ended(), 1, 'a second hub in the same folder does not start')
  t.match(other.stderr, /^fastify-sse-hub: HUB_STORE cannot be opened: .* is in use by another hub/)
  t.equal(other.stderr.trim().split('\n').length, 1, 'no stack')

  first.child.kill('SIGKILL')
  await first.ended()
  const second = new ServerProcess(t, env)
  const url = await second.url()
  const { lastEventId } = client
  const back = await StreamClient.open(`${url}/events?user=alice&topics=news`, { lastEventId })
  t.match(JSON.parse((await back.event('hub.welcome')).data), { resumed: true, replayed: 3 }, 'before anything new')
  await publish(url, '/users/alice/events', 'new')
  t.same(
    (await back.count(4)).map(({ data }) => data),
    ['missed 1', 'missed 2', 'missed 3', 'new']
  )
  t.notOk(back.events.some(({ event }) => event === 'hub.gap'))
  t.equal(await second.stop('SIGTERM'), 0)
  t.equal(second.stderr, '')
  t.match(second.stdout, `history is kept in ${env.HUB_STORE}, also over a restart`)
})

t.test('with keys the server requires authentication on every address, and logs no key at any level', async (t) => {
  const key = 'canary'.padEnd(43, 'x')
  const secret = 'canary-of-tokens'.padEnd(43, 'y')
  const server = new ServerProcess(t, {
    ...{ HOST: '0.0.0.0', LOG_LEVEL: 'trace' },
    ...{ HUB_API_KEYS: `backend:${key}:publish,ticket`, HUB_JWT_SECRET: secret, HUB_JWT_COOKIE: 'hub_token' }
  })
  const url = await server.url()
  const post = (path: string, body: object, headers = {}) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close', ...headers },
      body: JSON.stringify(body)
    })
  const authorization = `Bearer ${key}`
  t.equal((await post('/users/alice/events', { data: 1 })).status, 401)
  t.equal((await post('/users/alice/events', { data: 1 }, { authorization })).status, 202)
  t.equal((await fetch(`${url}/events?user=alice`)).status, 401)
  t.equal((await fetch(`${url}/users`, { headers: { authorization } })).status, 403)
  const made = await post('/tickets', { user: 'alice' }, { authorization })
  const { ticket } = (await made.json()) as { ticket: string }
  const byTicket = await StreamClient.open(`${url}/events?ticket=${ticket}&from=oldest`)
  const cookie = `hub_token=${tokenOf('alice', {}, { key: secret })}`
  const byCookie = await StreamClient.open(`${url}/events?from=oldest`, { headers: { cookie } })
  for (const client of [byTicket, byCookie]) t.same((await client.count(1))[0]?.data, '1')
  const bad = await fetch(`${url}/%zz?ticket=${ticket}`)
  t.equal(bad.status, 400)
  t.notMatch(await bad.text(), ticket)
  byTicket.cut()
  byCookie.cut()
  t.equal(await server.stop('SIGTERM'), 0)
  const logged = server.stdout + server.stderr
  t.notMatch(logged, 'without authentication')
  for (const canary of [key, secret, ticket, cookie.slice(10)]) t.notOk(logged.includes(canary))
})

t.test('an impossible setting stops the start with its name', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hub-'))
  const busy: Server = createServer().listen(0, '127.0.0.1')
  await once(busy, 'listening')
  t.teardown(() => {
    busy.close()
    rmSync(folder, { recursive: true })
  })
  const [cert, key, text] = ['cert.pem', 'key.pem', 'text.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string
  ]
  const pair = selfSigned()
  writeFileSync(cert, pair.cert)
  writeFileSync(key, selfSigned().key)
  writeFileSync(text, 'no certificate')
  const address = busy.address() as { port: number }
  const wrong: [Record<string, string>, RegExp][] = [
    [{ PORT: 'http' }, /^fastify-sse-hub: PORT is a whole number from 0 to 65535; got text of 4 characters\n$/],
    [
      { HUB_TLS_CERT: join(folder, 'none.pem'), HUB_TLS_KEY: key },
      /^fastify-sse-hub: HUB_TLS_CERT cannot be read: ENOENT/
    ],
    [{ HUB_TLS_CERT: text, HUB_TLS_KEY: key }, /^fastify-sse-hub: HUB_TLS_CERT and HUB_TLS_KEY /],
    [{ HUB_TLS_CERT: cert, HUB_TLS_KEY: key }, /^fastify-sse-hub: HUB_TLS_CERT and HUB_TLS_KEY .*mismatch/],
    [{ PORT: `${address.port}` }, /^fastify-sse-hub: PORT cannot be listened on: .*EADDRINUSE/]
  ]
  for (let at = 0; at < wrong.length; at += 2) {
    await Promise.all(
      wrong.slice(at, at + 2).map(async ([env, message]) => {
        const server = new ServerProcess(t, env)
        t.equal(await server.ended(), 1, JSON.stringify(env))
        t.match(server.stderr, message)
        t.equal(server.stderr.trim().split('\n').length, 1, 'no stack')
        t.equal(server.stdout, '')
      })
    )
  }
})

t.test('with a certificate the server serves HTTP/1.1 and HTTP/2 over TLS, and stops with both open', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hub-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { cert, key } = selfSigned()
  const env = { HUB_TLS_CERT: join(folder, 'cert.pem'), HUB_TLS_KEY: join(folder, 'key.pem') }
  writeFileSync(env.HUB_TLS_CERT, cert)
  writeFileSync(env.HUB_TLS_KEY, key)
  const server = new ServerProcess(t, { ...env, HOST: '0.0.0.0', HUB_AUTH: 'none' })
  const url = await server.url()
  t.match(url, /^https:\/\/localhost:\d+$/)
  const { port } = new URL(url)

  const session = connect(`https://127.0.0.1:${port}`, { ca: cert })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  const over2 = new StreamReader(session.request({ ':path': '/events?user=alice' }))
  await over2.event('hub.welcome')

  // A session that loaded the page, without a stream.
  const other = connect(`https://127.0.0.1:${port}`, { ca: cert })
  t.teardown(() => other.destroy())
  const plain = other.request({ ':path': '/health/ready' })
  plain.resume()
  await once(plain, 'close')

  const outgoing = get({
    ...{ host: '127.0.0.1', port, path: '/events?user=alice', ca: cert, agent: false },
    // As browsers send it.
    headers: { connection: 'keep-alive' }
  })
  const [response] = await once(outgoing, 'response')
  t.equal(response.httpVersion, '1.1')
  const over1 = new StreamReader(response)
  await over1.event('hub.welcome')

  // Two answered clients that keep their connections: one with the header, one without.
  const idle = await Promise.all(
    ['Connection: keep-alive\r\n', ''].map(async (header) => {
      const socket = connectTls({ host: '127.0.0.1', port: Number(port), ca: cert, ALPNProtocols: ['http/1.1'] })
      socket.write(
        `POST /broadcast HTTP/1.1\r\nHost: hub\r\n${header}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"data":1}`
      )
      const [bytes] = await once(socket, 'data')
      t.match(`${bytes}`, /^HTTP\/1\.1 202 /)
      return socket.on('error', () => {})
    })
  )
  await Promise.all([over1.count(2), over2.count(2)])

  const start = performance.now()
  t.equal(await server.stop('SIGTERM'), 0)
  t.comment(`stopped in ${Math.round(performance.now() - start)} ms`)
  t.ok(performance.now() - start < PROMPT)
  for (const reader of [over1, over2]) {
    await reader.end()
    t.match(reader.events.at(-1), { event: 'hub.close', data: '{"reason":"shutdown","reconnect":true}' })
    t.ok(reader.parser.isAtBoundary)
  }
  for (const socket of idle) socket.destroy()
  t.equal(server.stderr, '')
})
