import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { boundBodies } from '../../routes/body-bound.ts'
import { isTooComplex } from '../../routes/json-body.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { SECRET, tokenOf } from '../support/tokens.ts'

failOnWarnings(t)

const KEY = 'k'.repeat(43)
const READER = 'r'.repeat(43)
const MIB = 1_048_576

async function build(t: Test): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  const apiKeys = readApiKeys(`all:${KEY}:publish; reader:${READER}:read,close,ticket`)
  await app.register(hubApp, { authentication: { apiKeys, subscribers: { keys: [SECRET] } } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app
}

/** Sends the headers of a request, and a part of its body. */
function begin(app: FastifyInstance, path: string, token: string, headers: object, body = ''): ClientRequest {
  const { port } = app.server.address() as { port: number }
  const sent = request({
    ...{ port, method: 'POST', path, agent: false },
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers }
  })
  sent.on('error', () => {})
  sent.write(body)
  sent.flushHeaders()
  return sent
}

async function answerOf(sent: ClientRequest): Promise<{ status: number | undefined; code: string }> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, code: JSON.parse(text).code }
}

t.test('the right to publish is checked before a byte of the body is read', async (t) => {
  const app = await build(t)
  const length = { 'content-length': 900_000 }
  for (const path of ['/broadcast', '/users/alice/events', '/topics/news/events', '/events']) {
    const subscriber = begin(app, path, tokenOf('alice'), length)
    t.match(await answerOf(subscriber), { status: 401, code: 'SSE_HUB_ERR_NO_CREDENTIALS' }, path)
    const reader = begin(app, path, READER, length)
    t.match(await answerOf(reader), { status: 403, code: 'SSE_HUB_ERR_FORBIDDEN' }, path)
    subscriber.destroy()
    reader.destroy()
  }
})

t.test('bodies share a bound of bytes: excess ones are 503 until others have ended', async (t) => {
  const app = await build(t)
  const half = '['.padEnd(16, ' ')
  const slow = Array.from({ length: 8 }, () => begin(app, '/events', KEY, { 'content-length': 8 * MIB }, half))
  const small = { 'content-length': 30 }
  // Once another is refused, all eight have been counted.
  let refused: { status: number | undefined; code: string }
  do {
    const sent = begin(app, '/events', KEY, { 'content-length': MIB }, `[${' '.repeat(MIB - 2)}]`)
    refused = await answerOf(sent)
  } while (refused.status !== 503)
  t.equal(refused.code, 'SSE_HUB_ERR_TOO_MANY_BODIES')
  const event = begin(
    app,
    '/users/alice/events',
    KEY,
    small,
    '{"data":"small ones go through"}'.slice(0, 30).padEnd(30)
  )
  t.not((await answerOf(event)).status, 503)
  const chunked = begin(app, '/events', KEY, {}, `[${' '.repeat(MIB)}]`)
  t.match(await answerOf(chunked), { status: 503, code: 'SSE_HUB_ERR_TOO_MANY_BODIES' })
  for (const sent of slow) sent.destroy()
  for (;;) {
    const sent = begin(app, '/events', KEY, { 'content-length': MIB }, `[${' '.repeat(MIB - 2)}]`)
    const { status } = await answerOf(sent)
    if (status === 503) continue
    t.equal(status, 400, 'an empty batch is read, and refused for its content')
    break
  }
})

t.test('a client that leaves before its body is read does not stay counted', async (t) => {
  const app = Fastify({ bodyLimit: MIB })
  t.teardown(() => app.close())
  let onArrival = () => {}
  let onOver = () => {}
  const arrived = new Promise<void>((resolve) => {
    onArrival = resolve
  })
  const over = new Promise<void>((resolve) => {
    onOver = resolve
  })
  app.addHook('onRequest', async (request) => {
    if (request.headers.slow === undefined) return
    const closed = new Promise((resolve) => request.raw.socket.once('close', resolve))
    onArrival()
    await closed
    // After the response has emitted "close".
    await new Promise((resolve) => setImmediate(resolve))
  })
  boundBodies(app, 100_000)
  app.addHook('preParsing', async (request) => {
    if (request.headers.slow !== undefined) onOver()
  })
  app.post('/', async () => 'taken')
  await app.listen({ host: '127.0.0.1', port: 0 })
  const body = { 'content-length': 60_000 }
  const gone = begin(app, '/', KEY, { ...body, slow: 'yes' })
  await arrived
  gone.destroy()
  await over
  for (let round = 0; round < 3; round++) {
    const sent = begin(app, '/', KEY, body)
    sent.end(`"${'x'.repeat(59_998)}"`)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    response.resume()
    t.equal(response.statusCode, 200)
  }
})

t.test('a body without a length is published like one with a length', async (t) => {
  const app = await build(t)
  const sent = begin(app, '/users/alice/events', KEY, {}, '{"data":')
  sent.end(`"${'x'.repeat(40_000)}"}`)
  t.match(await answerOf(sent), { status: 202 })
  const aborted = begin(app, '/users/alice/events', KEY, {}, '{"data":')
  aborted.destroy()
  const large = begin(app, '/users/alice/events', KEY, {}, '{"data":"')
  large.end('x'.repeat(2 * MIB))
  t.match(await answerOf(large), { status: 413 })
  t.equal(app.sse.stats().published, 1)
})

t.test('a body is refused for its depth and its number of values before it is parsed', async (t) => {
  const cases: [string, boolean][] = [
    ['['.repeat(128), false],
    ['['.repeat(129), true],
    ['{"a":'.repeat(129), true],
    ['[{"a":[]}]'.repeat(30), false],
    [`"${'['.repeat(200)}"`, false],
    [`"\\"${'['.repeat(200)}"`, false],
    [`"\\\\"${'['.repeat(200)}`, true],
    [`"${'['.repeat(200)}`, false],
    [`[${'1,'.repeat(199_998)}1]`, false],
    [`[${'1,'.repeat(200_000)}1]`, true],
    [`[${'[],'.repeat(100_001)}1]`, true],
    [`["${','.repeat(300_000)}"]`, false]
  ]
  for (const [text, expected] of cases) t.equal(isTooComplex(text), expected, `${text.slice(0, 20)} ${text.length}`)
  const app = await build(t)
  const sent = begin(app, '/events', KEY, {}, '[')
  sent.end(`${'[],'.repeat(1_000_000)}1]`)
  t.match(await answerOf(sent), { status: 400, code: 'SSE_HUB_ERR_INVALID_BODY' })
})
