import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { RawSocket } from '../support/raw-socket.ts'

failOnWarnings(t)

const KEY = 'k'.repeat(43)

async function build(t: Test): Promise<FastifyInstance> {
  const app = Fastify({ routerOptions: { maxParamLength: 768 } })
  t.teardown(() => app.close())
  await app.register(hubApp, { authentication: { apiKeys: readApiKeys(`all:${KEY}:publish,ticket,read,close`) } })
  return app
}

const post = (app: FastifyInstance, url: string, payload: string, headers: Record<string, string> = {}) =>
  app.inject({
    ...{ method: 'POST', url, payload },
    headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}`, ...headers }
  })

/** Nested lists. */
const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const deepObject = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

const SINGLE = ['/broadcast', '/users/alice/events', '/topics/news/events']

t.test('data is accepted to a depth of 64 and refused beyond it, without a stack overflow', async (t) => {
  const app = await build(t)
  for (const url of SINGLE) {
    t.equal((await post(app, url, `{"data":${deep(64)}}`)).statusCode, 202)
    t.equal((await post(app, url, `{"data":${deepObject(64)}}`)).statusCode, 202)
    for (const data of [deep(65), deepObject(65), deep(10_000), deep(150_000), deepObject(100_000)]) {
      const response = await post(app, url, `{"data":${data}}`)
      t.equal(response.statusCode, 400, `${url} ${data.length}`)
      t.match(response.json().code, /^SSE_HUB_ERR_INVALID_/)
    }
  }
  t.equal((await post(app, '/events', `[{"to":{"everyone":true},"data":${deep(65)}}]`)).statusCode, 400)
  t.equal(app.sse.stats().published, 2 * SINGLE.length)
})

t.test('nesting outside of data is refused, too', async (t) => {
  const app = await build(t)
  const bodies = [deep(400_000), deepObject(150_000), `[${deep(400_000)}]`, `{"data":1,"x":${deep(400_000)}}`]
  for (const url of [...SINGLE, '/events']) {
    for (const body of bodies) t.equal((await post(app, url, body)).statusCode, 400, `${url} ${body.slice(0, 12)}`)
  }
  for (const to of [deep(300_000), `{"users":${deep(300_000)}}`, `{"users":[${deep(300_000)}]}`])
    t.equal((await post(app, '/events', `[{"data":1,"to":${to}}]`)).statusCode, 400)
  // Up to the largest accepted body.
  t.equal((await post(app, '/events', deep(4_000_000))).statusCode, 400)
  t.equal((await post(app, '/tickets', `{"topics":${deep(30_000)}}`)).statusCode, 400)
  t.equal(app.sse.stats().published, 0)
})

t.test('names that reach into prototypes are refused at every depth, and change nothing', async (t) => {
  const app = await build(t)
  const poisons = [
    '{"__proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"\\u005f_proto__":{"polluted":1}}'
  ]
  for (const poison of poisons) {
    for (const body of [poison, `{"data":${poison}}`, `{"data":[[[${poison}]]]}`, `{"data":1,"to":${poison}}`]) {
      for (const url of [...SINGLE, '/events', '/tickets']) {
        const text = url === '/events' ? `[${body}]` : body
        t.equal((await post(app, url, text)).statusCode, 400, `${url} ${text}`)
      }
    }
    t.equal(
      (await post(app, '/broadcast', `{"data":${'['.repeat(100_000)}${poison}${']'.repeat(100_000)}}`)).statusCode,
      400
    )
  }
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
  t.equal(app.sse.stats().published, 0)
})

t.test('bodies, batches, targets, names, keys and headers are bounded', async (t) => {
  const app = await build(t)
  const event = '{"to":{"everyone":true},"data":1}'
  const names = (count: number) => JSON.stringify(Array.from({ length: count }, (_, at) => `${at}`))
  const cases: [string, string, string, number, Record<string, string>?][] = [
    ['a body of 2 MB', '/broadcast', `{"data":"${'x'.repeat(2_000_000)}"}`, 413],
    ['a batch of 9 MB', '/events', `[{"to":{"everyone":true},"data":"${'x'.repeat(9_000_000)}"}]`, 413],
    ['data of 65,537 bytes', '/broadcast', `{"data":"${'x'.repeat(65_537)}"}`, 413],
    ['1,000 events', '/events', `[${Array(1_000).fill(event)}]`, 202],
    ['1,001 events', '/events', `[${Array(1_001).fill(event)}]`, 413],
    ['no event', '/events', '[]', 400],
    ['1,000 users', '/events', `[{"to":{"users":${names(1_000)}},"data":1}]`, 202],
    ['1,001 users', '/events', `[{"to":{"users":${names(1_001)}},"data":1}]`, 400],
    ['1,001 topics', '/events', `[{"to":{"topics":${names(1_001)}},"data":1}]`, 400],
    ['a name of 257 bytes', `/users/${'x'.repeat(257)}/events`, '{"data":1}', 400],
    ['a name too long to decode', `/users/${'x'.repeat(5_000)}/events`, '{"data":1}', 404],
    ['a key of 256 bytes', '/broadcast', '{"data":1}', 202, { 'idempotency-key': 'x'.repeat(256) }],
    ['a key of 257 bytes', '/broadcast', '{"data":1}', 400, { 'idempotency-key': 'x'.repeat(257) }],
    ['a ttl of ten years', '/broadcast', '{"data":1,"ttl":315360000000}', 400],
    ['an event name of 129 bytes', '/broadcast', `{"data":1,"event":"${'x'.repeat(129)}"}`, 400]
  ]
  for (const [what, url, body, expected, headers] of cases) {
    const { statusCode } = await post(app, url, body, headers)
    if (expected === 404) t.ok([404, 414].includes(statusCode), `${what}: ${statusCode}`)
    else t.equal(statusCode, expected, what)
  }
})

t.test('headers of more than 16 KiB are not read to the end', async (t) => {
  const app = await build(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const raw = await RawSocket.open(port)
  raw.send(`GET /events HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${'x'.repeat(17_000)}\r\n\r\n`)
  await raw.closed()
  t.match(raw.text, /^HTTP\/1\.1 431 /)
})

t.test('long headers within the limit are refused quickly', async (t) => {
  const app = await build(t)
  const long = [
    `${' '.repeat(8_000)}x`,
    `Bearer${' '.repeat(8_000)}`,
    `Bearer ${'a'.repeat(8_000)}!`,
    `Bearer ${'a.'.repeat(4_000)}`,
    `Bearer ${'='.repeat(8_000)}x`
  ]
  const start = performance.now()
  for (const authorization of long) {
    for (const [name, value] of [
      ['authorization', authorization],
      ['cookie', `${'a='.repeat(4_000)}`],
      ['origin', `http://${'a.'.repeat(4_000)}`]
    ] as const) {
      const { statusCode } = await app.inject({
        method: 'POST',
        url: '/broadcast',
        payload: { data: 1 },
        headers: { [name]: value }
      })
      t.ok([401, 403].includes(statusCode), name)
    }
  }
  t.comment(`${Math.round(performance.now() - start)} ms`)
})
