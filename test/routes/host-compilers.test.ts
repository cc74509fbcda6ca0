import fastifySwagger from '@fastify/swagger'
import Fastify, { type FastifyInstance } from 'fastify'
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider
} from 'fastify-type-provider-zod'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { sseHub } from '../../plugins/sse-hub.ts'
import { demoTask } from '../../routes/demo-task.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { failOnWarnings } from '../support/build.ts'

failOnWarnings(t)

/** A host with its own compilers at the root, and a hub under `/hub`. */
async function build(t: Test, prepare: (app: FastifyInstance) => unknown): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await prepare(app)
  await app.register(sseHub, { authenticate: () => ({ user: 'alice' }) })
  const issueTicket = async () => ({ ticket: 'abc', expiresAt: 1_000 })
  await app.register(hubRoutes, { prefix: '/hub', authorize: () => true, issueTicket })
  await app.register(demoTask, { prefix: '/hub' })
  await app.ready()
  return app
}

function useZod(app: FastifyInstance): void {
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
}

/** Checks that every route of the hub with schemas answers as its schemas say. */
async function checkRoutes(t: Test, app: FastifyInstance): Promise<void> {
  const draft = { data: 'hello' }
  const published = await app.inject({ method: 'POST', url: '/hub/users/alice/events', payload: draft })
  t.match({ status: published.statusCode, body: published.json() }, { status: 202, body: { id: String, streams: 0 } })
  for (const url of ['/hub/topics/news/events', '/hub/broadcast'])
    t.equal((await app.inject({ method: 'POST', url, payload: draft })).statusCode, 202, url)
  const batch = await app.inject({
    method: 'POST',
    url: '/hub/events',
    payload: [{ to: { everyone: true }, ...draft }]
  })
  t.match(batch.json(), [{ streams: 0 }])
  const history = await app.inject('/hub/users/alice/events?limit=10')
  t.match(history.json(), { events: [{ event: 'message', data: 'hello' }], complete: true })
  const { json: presence } = await app.inject('/hub/users/alice')
  t.same(presence(), { user: 'alice', online: false, streams: [] })
  t.same((await app.inject('/hub/users?limit=5')).json(), { users: [], next: null })
  t.same((await app.inject({ method: 'DELETE', url: '/hub/users/alice/streams' })).json(), { closed: 0 })
  const ticket = await app.inject({ method: 'POST', url: '/hub/tickets', payload: {} })
  t.match({ status: ticket.statusCode, ...ticket.json() }, { status: 201, ticket: 'abc' })
  const refused = await app.inject({ method: 'POST', url: '/hub/broadcast', payload: { ...draft, eventt: 'x' } })
  t.match(refused.json(), { statusCode: 400, code: 'SSE_HUB_ERR_INVALID_REQUEST' })
  const task = await app.inject('/hub/tasks/demo?steps=0')
  t.equal(task.statusCode, 400)
}

t.test(
  'the routes work in a host whose root compiles schemas with Zod, and so do the routes of the host',
  async (t) => {
    const app = await build(t, (app) => {
      useZod(app)
      app.withTypeProvider<ZodTypeProvider>().get(
        '/double',
        {
          schema: { querystring: z.object({ n: z.coerce.number() }), response: { 200: z.object({ n: z.number() }) } }
        },
        ({ query }) => ({ n: 2 * query.n })
      )
    })
    await checkRoutes(t, app)
    t.same((await app.inject('/double?n=21')).json(), { n: 42 })
  }
)

t.test('OpenAPI of a host that compiles schemas with Zod describes the routes of the hub', async (t) => {
  const app = await build(t, async (app) => {
    useZod(app)
    await app.register(fastifySwagger, {
      openapi: { info: { title: 'host', version: '1' } },
      transform: jsonSchemaTransform
    })
  })
  const { paths } = app.swagger() as { paths: Record<string, unknown> }
  t.ok(paths['/hub/users/{user}/events'])
  await checkRoutes(t, app)
})

t.test('the routes work in a host whose compilers refuse every schema', async (t) => {
  const refuse = () => {
    throw new Error('a schema of an unknown library')
  }
  const app = await build(t, (app) => {
    app.setValidatorCompiler(refuse)
    app.setSerializerCompiler(refuse)
  })
  await checkRoutes(t, app)
})
