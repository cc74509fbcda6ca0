import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { type Guard, paramOf } from './guard.ts'
import { Head, History, PageQuery, pageOf, TopicParams, UserParams } from './schemas.ts'

/** `GET /users/:user/events`, `/topics/:topic/events` and `/broadcast`: retained events; `GET /cursor`: the head of the log. */
export function historyRoutes(root: FastifyInstance, guard: Guard): void {
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  const response = { 200: History }

  app.get(
    '/users/:user/events',
    {
      schema: { params: UserParams, querystring: PageQuery, response },
      onRequest: guard((request) => [{ verb: 'read', user: paramOf(request, 'user') }])
    },
    (request) => app.sse.history({ user: request.params.user }, pageOf(request.query))
  )

  app.get(
    '/topics/:topic/events',
    {
      schema: { params: TopicParams, querystring: PageQuery, response },
      onRequest: guard((request) => [{ verb: 'read', topic: paramOf(request, 'topic') }])
    },
    (request) => app.sse.history({ topic: request.params.topic }, pageOf(request.query))
  )

  app.get(
    '/broadcast',
    { schema: { querystring: PageQuery, response }, onRequest: guard(() => [{ verb: 'read', everyone: true }]) },
    (request) => app.sse.history({ everyone: true }, pageOf(request.query))
  )

  app.get(
    '/cursor',
    { schema: { response: { 200: Head } }, onRequest: guard(() => [{ verb: 'read' }]) },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store')
      return { cursor: app.sse.cursor() }
    }
  )
}
