import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { type Guard, paramOf } from './guard.ts'
import { TopicListeners, TopicParams } from './schemas.ts'

/** `GET /topics/:topic`: how many streams listen to a topic. */
export function topicRoutes(root: FastifyInstance, guard: Guard): void {
  root.withTypeProvider<TypeBoxTypeProvider>().get(
    '/topics/:topic',
    {
      schema: { params: TopicParams, response: { 200: TopicListeners } },
      onRequest: guard((request) => [{ verb: 'read', topic: paramOf(request, 'topic') }])
    },
    (request) => root.sse.topic(request.params.topic)
  )
}
