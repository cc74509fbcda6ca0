import fastifySwagger from '@fastify/swagger'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { OPERATIONS } from '../../routes/openapi/operations.ts'
import { HUB_EVENTS } from '../../routes/openapi/stream-events.ts'
import * as errors from '../../services/errors.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { StreamClient } from '../support/stream-client.ts'
import { SECRET, tokenOf } from '../support/tokens.ts'

failOnWarnings(t)

const KEY = 'k'.repeat(43)
/** Values of the examples that stand for ids of a running hub. */
const EVENT_ID = '7.def'
const STREAM_ID = 'k2j4h6g8f0d1s3a5'

interface Media {
  readonly schema: object
  readonly example?: unknown
  readonly examples?: Record<string, { value: unknown }>
}
interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly example?: string | number | boolean
}
interface DocumentedOperation {
  readonly operationId: string
  readonly summary: string
  readonly parameters?: Parameter[]
  readonly requestBody?: { content: Record<string, Media> }
  readonly responses: Record<string, { description: string; content?: Record<string, Media> }>
  readonly security?: object[]
}
interface Call {
  readonly method: string
  readonly path: string
  readonly operation: DocumentedOperation
}
interface Document {
  readonly openapi: string
  readonly paths: Record<string, Record<string, DocumentedOperation>>
  readonly components: { schemas: Record<string, object>; securitySchemes?: object }
  readonly servers: { url: string }[]
}

const ajv = new Ajv2020({ strict: false })

const locked: HubAppOptions = {
  authentication: {
    apiKeys: readApiKeys(`all:${KEY}:publish,read,close,ticket`),
    subscribers: { keys: [SECRET] }
  }
}

async function build(t: Test, options: HubAppOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp, options)
  await app.ready()
  return app
}

async function documentOf(app: FastifyInstance, prefix = ''): Promise<Document> {
  const response = await app.inject(`${prefix}/documentation/json`)
  if (response.statusCode !== 200) throw new Error(response.payload)
  return response.json()
}

function callsOf({ paths }: Document): Call[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation }))
  )
}

t.test('the API is described in valid OpenAPI 3.1, on an open hub, on a locked one, and below a prefix', async (t) => {
  for (const [options, security] of [
    [{}, undefined],
    [locked, { apiKey: Object, token: Object, ticket: Object }]
  ] as const) {
    const document = await documentOf(await build(t, options))
    t.equal(document.openapi, '3.1.0')
    t.same(await new Validator().validate(document as never), { valid: true })
    t.match(document.components.securitySchemes, security as object)
  }
  const document = await documentOf(await build(t, { prefix: '/hub' }), '/hub')
  t.same(document.servers, [{ url: '/hub' }])
  t.ok(document.paths['/users/{user}/events'], 'a path is relative to the server')
  t.same(await new Validator().validate(document as never), { valid: true })
})

t.test('every route of the API is described, and every operation belongs to a route', async (t) => {
  const ids = new Set<string>()
  for (const options of [{}, locked]) {
    const app = Fastify()
    t.teardown(() => app.close())
    const routes: string[] = []
    app.addHook('onRoute', ({ method, url }) => {
      if (method !== 'HEAD' && method !== 'OPTIONS') routes.push(`${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`)
    })
    await app.register(hubApp, options)
    await app.ready()
    const calls = callsOf(await documentOf(app))
    const isPage = (route: string) => /^GET \/(documentation.*|[\w-]*\.\w+)?$/.test(route)
    t.same(calls.map(({ method, path }) => `${method} ${path}`).sort(), routes.filter((route) => !isPage(route)).sort())
    for (const { operation } of calls) ids.add(operation.operationId)
  }
  const described = Object.values(OPERATIONS).map(({ id }) => id)
  t.same([...ids].sort(), described.sort())
})

t.test('every operation has a summary, a description of each response, and its errors by code', async (t) => {
  const codes = new Set<string>(Object.values(errors).map((HubError) => new HubError('', '').code))
  for (const { operation } of callsOf(await documentOf(await build(t, locked)))) {
    const { operationId, summary, responses } = operation
    t.match(summary, /^[A-Z].{10,}/, operationId)
    t.ok(operation.security, `${operationId} names its credentials, or none`)
    for (const [status, { description, content }] of Object.entries(responses)) {
      t.match(description, /^[A-Z1]/, `${operationId} ${status}`)
      if (Number(status) < 400 || operationId === 'ready') continue
      const { examples = {} } = content?.['application/json'] ?? {}
      t.ok(Object.keys(examples).length > 0)
      for (const code of Object.keys(examples)) t.ok(codes.has(code) || code.startsWith('FST_ERR_'), code)
    }
  }
})

t.test('every example of a response matches its schema', async (t) => {
  for (const { operation } of callsOf(await documentOf(await build(t, locked)))) {
    for (const [status, { content = {} }] of Object.entries(operation.responses)) {
      const { schema, example, examples } = content['application/json'] ?? {}
      const shown = Object.values(examples ?? {}).map(({ value }) => value)
      for (const value of example === undefined ? shown : [example])
        t.ok(ajv.validate(schema as object, value), `${operation.operationId} ${status}: ${ajv.errorsText()}`)
    }
  }
})

t.test('every example of a request succeeds, and its response matches the documentation', async (t) => {
  const known = new Set<string>()
  for (const options of [{}, locked]) {
    const app = await build(t, { ...options, hub: { heartbeatInterval: 0 } })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const isLocked = options === locked
    const token = tokenOf('alice', { topics: ['*'] })
    const calls = callsOf(await documentOf(app))
    // Calls that close the stream come last.
    for (const call of calls.sort(
      (one, other) => Number(one.method === 'DELETE') - Number(other.method === 'DELETE')
    )) {
      const { operation } = call
      const { caller, isStream } = Object.values(OPERATIONS).find(({ id }) => id === operation.operationId) ?? {}
      const headers: Record<string, string> = {}
      if (isLocked && caller !== 'any') headers.authorization = `Bearer ${caller === 'subscriber' ? token : KEY}`
      const { id } = await app.sse.send('alice', { data: 'in the inbox', inbox: true })
      const stream = await StreamClient.open(`${url}/events?user=alice`, {
        headers: isLocked ? { authorization: `Bearer ${token}` } : {}
      })
      const welcome = JSON.parse((await stream.event('hub.welcome')).data)
      const real = (text: string) => text.replaceAll(EVENT_ID, id).replaceAll(STREAM_ID, welcome.stream)
      known.add(operation.operationId)
      if (isStream) await followStream(t, call, url + pathOf(call, real), headers)
      else await execute(t, call, url + pathOf(call, real), headers, real)
      stream.cut()
    }
  }
  t.equal(known.size, Object.keys(OPERATIONS).length)
})

function pathOf({ path, operation }: Call, real: (text: string) => string): string {
  const { parameters = [] } = operation
  const isGiven = ({ example }: Parameter) => example !== undefined
  const query = parameters.filter((parameter) => parameter.in === 'query').filter(isGiven)
  const search = new URLSearchParams(query.map(({ name, example }): [string, string] => [name, `${example}`]))
  const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name) => {
    const { example } = parameters.find((parameter) => parameter.name === name) as Parameter
    return encodeURIComponent(real(`${example}`))
  })
  return `${filled}?${search}`
}

async function execute(
  t: Test,
  { method, operation }: Call,
  url: string,
  headers: Record<string, string>,
  real: (text: string) => string
): Promise<void> {
  const { operationId, requestBody, responses } = operation
  const example = requestBody?.content['application/json']?.example
  if (requestBody !== undefined) t.not(example, undefined, `${operationId} shows a body`)
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(example !== undefined && { 'content-type': 'application/json' }) },
    ...(example !== undefined && { body: real(JSON.stringify(example)) })
  })
  const text = await response.text()
  t.ok(response.ok, `${operationId}: ${response.status} ${text}`)
  const documented = responses[response.status]
  t.ok(documented, `${operationId}: ${response.status} is documented`)
  const type = `${response.headers.get('content-type')}`.split(';')[0] as string
  const schema = documented?.content?.[type]?.schema
  if (documented?.content === undefined) t.equal(text, '')
  else {
    const body = type === 'application/json' ? JSON.parse(text) : text
    t.ok(ajv.validate(schema as object, body), `${operationId}: ${ajv.errorsText()} in ${text}`)
  }
}

/** Opens a stream by its example, and compares its first event and its media type with the documentation. */
async function followStream(t: Test, { operation }: Call, url: string, headers: Record<string, string>): Promise<void> {
  const client = await StreamClient.open(url, { headers })
  t.equal(client.status, 200, operation.operationId)
  const type = `${client.response.headers['content-type']}`.split(';')[0] as string
  t.ok(operation.responses[200]?.content?.[type], `${operation.operationId}: ${type}`)
  const { event } = await client.event('hub.welcome')
  t.match(`${operation.responses[200]?.content?.[type]?.example}`, `event: ${event}\n`)
  client.cut()
}

t.test("the data of every event of the hub's own matches its description", async (t) => {
  const app = await build(t, { hub: { heartbeatInterval: 50 } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const client = await StreamClient.open(`${url}/events?user=alice&topics=news`, { lastEventId: '1.never' })
  await client.event('hub.gap')
  const { id } = await app.sse.send('alice', { data: 1, inbox: true })
  const { id: second } = await app.sse.send('alice', { data: 2, inbox: true })
  await app.sse.markRead('alice', id)
  await app.sse.retract(second)
  for (const name of ['hub.heartbeat', 'hub.read', 'hub.retract', 'hub.unread']) await client.event(name)
  const { stream } = JSON.parse((await client.event('hub.welcome')).data)
  const changed = await fetch(`${url}/streams/${stream}/topics?user=alice`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ topics: ['sports'] })
  })
  t.equal(changed.status, 204)
  await client.event('hub.topics')
  await app.sse.disconnect('alice')
  await client.end()

  const { paths, components } = await documentOf(app)
  const { schemas } = components
  const block = paths['/events']?.get?.responses[200]?.content?.['text/event-stream']?.schema
  const seen = new Set<string>()
  for (const { event, data } of client.events) {
    if (!event.startsWith('hub.')) continue
    seen.add(event)
    const given = data === '' ? '' : JSON.parse(data)
    t.ok(ajv.validate(schemas[event] as object, given), `${event} ${data}: ${ajv.errorsText()}`)
    t.ok(ajv.validate(block as object, { event, data }), `${event} as a block: ${ajv.errorsText()}`)
  }
  t.same([...seen].sort(), Object.keys(HUB_EVENTS).sort())
  for (const [name, schema] of Object.entries(HUB_EVENTS)) {
    for (const example of schema.examples as unknown[])
      t.ok(ajv.validate(schema, example), `${name}: ${ajv.errorsText()}`)
  }
})

t.test('the OpenAPI of a host that registers @fastify/swagger describes the routes in the same way', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifySwagger, { openapi: { openapi: '3.1.0', info: { title: 'host', version: '1' } } })
  await app.register(sseHub, { authenticate: () => ({ user: 'alice' }) })
  await app.register(hubRoutes, { prefix: '/hub', authorize: () => true })
  app.get('/own', { schema: { summary: 'of the host' } }, () => '')
  await app.ready()
  const host = app.swagger() as unknown as Document
  t.same(await new Validator().validate(host as never), { valid: true })
  t.equal(host.paths['/own']?.get?.summary, 'of the host')
  const ofApp = ['/tasks/demo', '/metrics']
  const own = callsOf(await documentOf(await build(t))).filter(({ path }) => !ofApp.includes(path))
  for (const { method, path, operation } of own)
    t.same(host.paths[`/hub${path}`]?.[method.toLowerCase()], operation, path)
  t.equal(callsOf(host).length, own.length + 1)
})

t.test('a hub in a host that has a documentation of its own describes itself below its prefix', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifySwagger, { openapi: { info: { title: 'host', version: '1' } } })
  await app.register(hubApp, { prefix: '/hub' })
  await app.ready()
  t.match(await documentOf(app, '/hub'), { info: { title: 'fastify-sse-hub' } })
  t.match(app.swagger(), { info: { title: 'host' } })
})

t.test('a response that a host sends for an error is not changed by the documentation', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.setErrorHandler((error, _request, reply) => reply.code(400).send({ problem: (error as Error).message }))
  await app.register(sseHub)
  await app.register(hubRoutes, { authorize: () => true })
  const response = await app.inject({ method: 'POST', url: '/broadcast', payload: {} })
  t.match(response.json(), { problem: /data/ })
})

t.test(
  'the page of the documentation is served with a strict content security policy and no foreign file',
  async (t) => {
    const app = await build(t, { prefix: '/hub' })
    const { headers } = await app.inject('/hub/documentation?a=1')
    t.equal(headers.location, '/hub/documentation/?a=1')
    const page = await app.inject('/hub/documentation/')
    const links = [...page.payload.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link as string)
    t.ok(links.length >= 5)
    for (const link of ['./', ...links]) {
      t.match(link, /^\.\//)
      const part = await app.inject(new URL(link, 'http://hub/hub/documentation/').pathname)
      t.equal(part.statusCode, 200, link)
      t.match(part.headers['content-security-policy'], "default-src 'none'; script-src 'self'; style-src 'self'")
      t.equal(part.headers['x-content-type-options'], 'nosniff')
    }
    t.notMatch(page.payload, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=/i)
  }
)
