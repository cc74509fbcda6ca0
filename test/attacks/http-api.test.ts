import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { type Call, callOf, collectRoutes, type Route } from '../support/api-calls.ts'
import { failOnWarnings } from '../support/build.ts'
import { SEED, survives } from '../support/fuzz.ts'

failOnWarnings(t)
t.setTimeout(600_000)
t.comment(`TEST_SEED=${SEED}`)

const KEY = 'k'.repeat(43)
const KEYS = { apiKeys: readApiKeys(`all:${KEY}:publish,ticket,read,close`) }

interface Fuzzed {
  readonly app: FastifyInstance
  readonly routes: Route[]
  /** The logged errors. */
  readonly errors: string[]
}

async function build(t: Test, authentication?: typeof KEYS): Promise<Fuzzed> {
  const errors: string[] = []
  const app = Fastify({
    logger: { level: 'error', stream: { write: (line: string) => errors.push(line) } },
    routerOptions: { maxParamLength: 768 }
  })
  t.teardown(() => app.close())
  const routes = collectRoutes(app)
  await app.register(hubApp, { authentication, loopbackOnly: false })
  await app.ready()
  return { app, routes, errors }
}

/** Sends a call, and throws if the answer breaks the API's rules. */
async function attack({ app, errors }: Fuzzed, call: Call, answers: Route['answers']): Promise<void> {
  const { method, url, headers, payload } = call
  const response = await app.inject({
    ...{ method: method as 'GET', url, headers, payloadAsStream: true },
    ...(payload === undefined ? {} : { payload })
  })
  const { statusCode } = response
  const type = String(response.headers['content-type'] ?? '')
  if (statusCode >= 500) throw new Error(`answered ${statusCode}`)
  if (errors.length > 0) throw new Error(`logged ${errors.splice(0).join('')}`)
  if (type.startsWith('text/event-stream')) {
    if (statusCode !== 200) throw new Error(`a stream with status ${statusCode}`)
    response
      .stream()
      .on('error', () => {})
      .destroy()
    return
  }
  const text = await textOf(response.stream())
  if (/\n\s+at |node_modules|\.ts:\d/.test(text)) throw new Error(`shows internals: ${text}`)
  if (statusCode >= 400 && text !== '') {
    const { code, message, statusCode: reply } = JSON.parse(text)
    if (typeof code !== 'string' || typeof message !== 'string' || reply !== statusCode)
      throw new Error(`an error without a code: ${text}`)
  }
  // A path may lead elsewhere, `/users/..` to the page for one.
  const answer = text !== '' && type.startsWith('application/json') ? answers[statusCode] : undefined
  if (answer !== undefined && !Value.Check(answer, JSON.parse(text)))
    throw new Error(`differs from its schema: ${text}`)
}

async function textOf(source: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

for (const [name, authentication, credentials] of [
  ['open', undefined, {}],
  ['locked, with a key', KEYS, { authorization: `Bearer ${KEY}` }],
  ['locked, without one', KEYS, {}]
] as const) {
  t.test(`an API that is ${name} answers any call correctly and continues to serve`, async (t) => {
    const fuzzed = await build(t, authentication)
    const { app, routes } = fuzzed
    t.ok(routes.length > 15, `${routes.length} routes`)
    const call = fc.nat(routes.length - 1).chain((at) => callOf(routes[at] as Route).map((one) => ({ one, at })))
    // No client reads these streams.
    app.sse.on('open', (stream) => setImmediate(() => stream.close('kicked')))
    await survives(t, call, 1_500, ({ one, at }) => {
      const headers = { ...one.headers, ...credentials }
      return attack(fuzzed, { ...one, headers }, (routes[at] as Route).answers)
    })
    t.equal(({} as { polluted?: unknown }).polluted, undefined)
    const sent = await app.inject({
      ...{ method: 'POST', url: '/users/alice/events', payload: { data: 'still here' } },
      headers: { authorization: `Bearer ${KEY}` }
    })
    t.equal(sent.statusCode, 202)
    t.equal(app.sse.stats().streams, 0)
  })
}
