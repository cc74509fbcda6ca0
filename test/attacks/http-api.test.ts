import { Kind, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { readApiKeys } from '../../environment/api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { hostileText, SEED, survives } from '../support/fuzz.ts'
import { arbitraryOf, nearlyOf } from '../support/schema-arbitrary.ts'

failOnWarnings(t)
t.setTimeout(600_000)
t.comment(`TEST_SEED=${SEED}`)

const KEY = 'k'.repeat(43)
const KEYS = { apiKeys: readApiKeys(`all:${KEY}:publish,ticket,read,close`) }

/** One call of the API, as its schemas describe it. */
interface Route {
  readonly method: string
  readonly url: string
  readonly params: TSchema | undefined
  readonly query: TSchema | undefined
  readonly body: TSchema | undefined
  readonly answers: Record<string, TSchema>
}

interface Call {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly payload: string | undefined
}

interface Fuzzed {
  readonly app: FastifyInstance
  readonly routes: Route[]
  /** What was logged as an error. */
  readonly errors: string[]
}

const isSchema = (schema: unknown): schema is TSchema => typeof schema === 'object' && schema !== null && Kind in schema
const schemaOf = (schema: unknown) => (isSchema(schema) ? schema : undefined)

async function build(t: Test, authentication?: typeof KEYS): Promise<Fuzzed> {
  const errors: string[] = []
  const app = Fastify({
    logger: { level: 'error', stream: { write: (line: string) => errors.push(line) } },
    routerOptions: { maxParamLength: 768 }
  })
  t.teardown(() => app.close())
  const routes: Route[] = []
  app.addHook('onRoute', ({ method, url, schema = {} }) => {
    for (const verb of [method].flat()) {
      const answers = Object.entries((schema.response ?? {}) as object).filter(([, answer]) => isSchema(answer))
      routes.push({
        ...{ method: verb, url, params: schemaOf(schema.params), query: schemaOf(schema.querystring) },
        ...{ body: schemaOf(schema.body), answers: Object.fromEntries(answers) }
      })
    }
  })
  await app.register(hubApp, { authentication, loopbackOnly: false })
  await app.ready()
  return { app, routes, errors }
}

const token = fc.constantFrom(
  'application/json',
  'application/json; charset=utf-8',
  'text/plain',
  'APPLICATION/JSON',
  ''
)
/** What a header may hold: Node itself refuses anything else. */
const headerText = hostileText.map((text) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, ''))

function callOf(route: Route): fc.Arbitrary<Call> {
  const params = fc.oneof(arbitraryOf(route.params ?? Type.Object({})), fc.constant({}))
  const path = fc.tuple(params, hostileText, fc.boolean()).map(([given, other, isRaw]) => {
    const values = given as Record<string, unknown>
    return route.url.replace(/:(\w+)/g, (_, name: string) => escaped(written(values[name] ?? other), isRaw))
  })
  const query = route.query === undefined ? fc.constant('') : queryOf(route.query)
  const headers = fc.record(
    {
      'idempotency-key': headerText,
      'last-event-id': headerText,
      accept: fc.oneof(fc.constant('text/event-stream'), headerText),
      origin: headerText,
      'x-forwarded-for': headerText,
      'content-type': token
    },
    { requiredKeys: [] }
  )
  const body = route.body === undefined ? fc.option(hostileText, { nil: undefined }) : bodyOf(route.body)
  return fc.tuple(path, query, headers, body).map(([to, search, given, payload]) => ({
    ...{ method: route.method, url: to + (search && `?${search}`), payload },
    headers: { ...(payload === undefined ? {} : { 'content-type': 'application/json' }), ...given }
  }))
}

function bodyOf(schema: TSchema): fc.Arbitrary<string | undefined> {
  const json = nearlyOf(schema).map((value) => JSON.stringify(value))
  const cut = fc.tuple(json, fc.nat()).map(([text, at]) => text?.slice(0, at % (text.length + 1)))
  return fc.oneof({ arbitrary: json, weight: 6 }, cut, hostileText)
}

function queryOf(schema: TSchema): fc.Arbitrary<string> {
  const values = fc.oneof(nearlyOf(schema), fc.dictionary(hostileText, hostileText))
  return fc.tuple(values, fc.boolean()).map(([given, isRaw]) =>
    Object.entries((given ?? {}) as object)
      .map(([name, value]) => `${escaped(name, isRaw)}=${escaped(written(value), isRaw)}`)
      .join('&')
  )
}

/** An object may have a `toString` that is none. */
const written = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))

/** Percent-encoded as it ought to be, or with no more done to it than HTTP itself asks for. */
function escaped(text: string, isRaw: boolean): string {
  return isRaw ? text.replace(/[^\x21-\x7e]/g, '_') : encodeURIComponent(text.toWellFormed())
}

/** Calls, and throws if the answer is none that a client can make sense of. */
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
  if (/\n\s+at |node_modules|\.ts:\d/.test(text)) throw new Error(`shows its insides: ${text}`)
  if (statusCode >= 400 && text !== '') {
    const { code, message, statusCode: told } = JSON.parse(text)
    if (typeof code !== 'string' || typeof message !== 'string' || told !== statusCode)
      throw new Error(`an error without a code: ${text}`)
  }
  // A path may lead elsewhere, `/users/..` to the page for one.
  const answer = text !== '' && type.startsWith('application/json') ? answers[statusCode] : undefined
  if (answer !== undefined && !Value.Check(answer, JSON.parse(text))) throw new Error(`not what it promises: ${text}`)
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
  t.test(`whatever is sent to an API that is ${name}, it answers with sense and goes on`, async (t) => {
    const fuzzed = await build(t, authentication)
    const { app, routes } = fuzzed
    t.ok(routes.length > 15, `${routes.length} routes`)
    const call = fc.nat(routes.length - 1).chain((at) => callOf(routes[at] as Route).map((one) => ({ one, at })))
    // Nobody reads them.
    app.sse.on('open', (stream) => setImmediate(() => stream.close('client')))
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
