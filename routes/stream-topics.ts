import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Authenticate, AuthorizeTopic } from '../plugins/sse-hub.ts'
import { StreamParams, StreamTopics } from './schemas.ts'
import { forSubscribers, identityOf } from './subscriber.ts'

/** `PUT /streams/:id/topics`: the topics that the caller requests for an open stream of its own. */
export function streamTopicsRoute(
  app: FastifyInstance,
  options: { authenticate?: Authenticate | undefined; authorizeTopic?: AuthorizeTopic | undefined }
): void {
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .put(
      '/streams/:id/topics',
      { schema: { params: StreamParams, body: StreamTopics }, ...forSubscribers(app, options) },
      async (request, reply) => {
        const change = { stream: request.params.id, topics: request.body.topics }
        await app.sse.requestTopics(request, identityOf(request), change, options)
        return reply.code(204).send()
      }
    )
}
