import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Authenticate } from '../plugins/sse-hub.ts'
import { History, Inbox, inboxPageOf, MarkRead, OwnInboxQuery, OwnPageQuery, pageOf, ReadState } from './schemas.ts'
import { forSubscribers, identityOf } from './subscriber.ts'

const READ_BODY_BYTES = 4_096

/** `/me`: what a subscriber reads and changes of its own, with the credentials of its streams. */
export function ownRoutes(root: FastifyInstance, { authenticate }: { authenticate?: Authenticate | undefined }): void {
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  const ofSubscribers = forSubscribers(root, { authenticate })

  app.get(
    '/me/events',
    { schema: { querystring: OwnPageQuery, response: { 200: History } }, ...ofSubscribers },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return app.sse.history({ user: identityOf(request).user }, pageOf(request.query))
    }
  )

  app.get(
    '/me/inbox',
    { schema: { querystring: OwnInboxQuery, response: { 200: Inbox } }, ...ofSubscribers },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return app.sse.inbox(identityOf(request).user, inboxPageOf(request.query))
    }
  )

  app.post(
    '/me/read',
    { schema: { body: MarkRead, response: { 200: ReadState } }, bodyLimit: READ_BODY_BYTES, ...ofSubscribers },
    (request) => app.sse.markRead(identityOf(request).user, request.body.upTo)
  )
}
