import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Authenticate } from '../plugins/sse-hub.ts'
import { History, Inbox, inboxPageOf, MarkRead, OwnInboxQuery, OwnPageQuery, ReadState } from './schemas.ts'

const READ_BODY_BYTES = 4_096

/** The `config` of a route that refuses callers without credentials itself, before the body is read: it takes tickets, too. */
export const IDENTIFIES_SUBSCRIBERS = { identifiesSubscribers: true } as object

/** The property of a request that holds the user whom `authenticate` identified. */
const USER = Symbol('sse hub subscriber')

type Identified = FastifyRequest & { [USER]?: string }

const userOf = (request: Identified): string => request[USER] as string

/** `/me`: what a subscriber reads and changes of its own, with the credentials of its streams. */
export function ownRoutes(root: FastifyInstance, { authenticate }: { authenticate?: Authenticate | undefined }): void {
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  // Before the body is read.
  const onRequest = async (request: Identified): Promise<void> => {
    request[USER] = (await app.sse.identify(request, { authenticate })).user
  }
  const config = IDENTIFIES_SUBSCRIBERS

  app.get(
    '/me/events',
    { schema: { querystring: OwnPageQuery, response: { 200: History } }, onRequest, config },
    async (request, reply) => {
      const { after, limit } = request.query
      reply.header('cache-control', 'no-store')
      return app.sse.history({ user: userOf(request) }, { after: after || undefined, limit })
    }
  )

  app.get(
    '/me/inbox',
    { schema: { querystring: OwnInboxQuery, response: { 200: Inbox } }, onRequest, config },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return app.sse.inbox(userOf(request), inboxPageOf(request.query))
    }
  )

  app.post(
    '/me/read',
    { schema: { body: MarkRead, response: { 200: ReadState } }, bodyLimit: READ_BODY_BYTES, onRequest, config },
    (request) => app.sse.markRead(userOf(request), request.body.upTo)
  )
}

/** Whether the route identifies the subscriber, before the body is read. */
export function identifiesSubscribers({ config }: { config?: object }): boolean {
  return (config as { identifiesSubscribers?: boolean } | undefined)?.identifiesSubscribers === true
}
