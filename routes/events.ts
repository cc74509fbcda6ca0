import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Authenticate, AuthorizeTopic } from '../plugins/sse-hub.ts'
import { InvalidRequestError } from '../services/errors.ts'
import { StreamQuery } from './schemas.ts'

/** `GET /events`: the caller's stream, or with `?follow=` the events of one topic up to the final one. */
export function eventStreamRoute(
  app: FastifyInstance,
  options: { authenticate?: Authenticate | undefined; authorizeTopic?: AuthorizeTopic | undefined }
): void {
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/events', { schema: { querystring: StreamQuery } }, (request, reply) => {
      const { follow, topics, from, last } = request.query
      if (follow !== undefined) {
        if (topics !== undefined || from !== undefined || last !== undefined)
          throw new InvalidRequestError('follow takes one topic from its oldest event; leave out topics, from and last')
        return app.sse.follow(request, reply, follow, { ...options, requested: true })
      }
      return app.sse.connect(request, reply, { ...options, requestedTopics: topicList(topics), from, last })
    })
}

/** `?topics=a,b` and `?topics=a&topics=b` are equivalent. */
function topicList(topics: string | string[] | undefined): string[] {
  return [topics ?? []].flat().flatMap((list) => list.split(',').filter((topic) => topic !== ''))
}
