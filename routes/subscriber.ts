import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Authenticate, StreamIdentity } from '../plugins/sse-hub.ts'

/** The property of a request that holds the identity of the subscriber. */
const IDENTITY = Symbol('sse hub identity')

type Identified = FastifyRequest & { [IDENTITY]?: StreamIdentity }

/** Options of a route that a subscriber calls with the credentials of its streams: they are checked before the body is read. */
export function forSubscribers(
  app: FastifyInstance,
  { authenticate }: { readonly authenticate?: Authenticate | undefined }
): { readonly onRequest: (request: FastifyRequest) => Promise<void>; readonly config: object } {
  const onRequest = async (request: Identified): Promise<void> => {
    request[IDENTITY] = await app.sse.identify(request, { authenticate })
  }
  // The route refuses callers without credentials itself: it takes tickets, too.
  return { onRequest, config: { identifiesSubscribers: true } }
}

/** The subscriber who calls a route with the options of {@link forSubscribers}. */
export function identityOf(request: Identified): StreamIdentity {
  return request[IDENTITY] as StreamIdentity
}

/** Whether the route has the options of {@link forSubscribers}. */
export function identifiesSubscribers({ config }: { config?: object }): boolean {
  return (config as { identifiesSubscribers?: boolean } | undefined)?.identifiesSubscribers === true
}
