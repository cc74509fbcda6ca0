import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Authenticate } from '../plugins/sse-hub.ts'
import { History, OwnPageQuery } from './schemas.ts'

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
  // The route refuses callers without credentials itself: it takes tickets, too.
  const config = { identifiesSubscribers: true } as object

  app.get(
    '/me/events',
    { schema: { querystring: OwnPageQuery, response: { 200: History } }, onRequest, config },
    async (request, reply) => {
      const { after, limit } = request.query
      reply.header('cache-control', 'no-store')
      return app.sse.history({ user: userOf(request) }, { after: after || undefined, limit })
    }
  )
}

/** Whether the route identifies the subscriber, before the body is read. */
export function identifiesSubscribers({ config }: { config?: object }): boolean {
  return (config as { identifiesSubscribers?: boolean } | undefined)?.identifiesSubscribers === true
}
