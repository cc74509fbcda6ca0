import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { type Guard, paramOf } from './guard.ts'
import { Inbox, InboxEventParams, InboxQuery, inboxPageOf, Retracted, UserParams } from './schemas.ts'

/** `/users/:user/inbox`: a publisher reads a user's inbox, and retracts an event from it. */
export function inboxRoutes(root: FastifyInstance, guard: Guard): void {
  const app = root.withTypeProvider<TypeBoxTypeProvider>()

  app.get(
    '/users/:user/inbox',
    {
      schema: { params: UserParams, querystring: InboxQuery, response: { 200: Inbox } },
      onRequest: guard((request) => [{ verb: 'read', user: paramOf(request, 'user') }])
    },
    (request) => app.sse.inbox(request.params.user, inboxPageOf(request.query))
  )

  app.delete(
    '/users/:user/inbox/:id',
    {
      schema: { params: InboxEventParams, response: { 200: Retracted } },
      // A publisher that may send an event to the user may take one back.
      onRequest: guard((request) => [{ verb: 'publish', target: { users: [paramOf(request, 'user')] } }])
    },
    async (request) => {
      const { user, id } = request.params
      return { retracted: await app.sse.retract(id, { user }) }
    }
  )
}
