import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Authenticate, AuthorizeTopic } from '../plugins/sse-hub.ts'
import { StreamQuery } from './schemas.ts'

/** `GET /events`: the caller's stream. */
export function eventStreamRoute(
  app: FastifyInstance,
  options: { authenticate?: Authenticate | undefined; authorizeTopic?: AuthorizeTopic | undefined }
): void {
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/events', { schema: { querystring: StreamQuery } }, (request, reply) => {
      const { topics, from, last } = request.query
      return app.sse.connect(request, reply, { ...options, requestedTopics: topicList(topics), from, last })
    })
}

/** `?topics=a,b` and `?topics=a&topics=b` are equivalent. */
function topicList(topics: string | string[] | undefined): string[] {
  return [topics ?? []].flat().flatMap((list) => list.split(',').filter((topic) => topic !== ''))
}
