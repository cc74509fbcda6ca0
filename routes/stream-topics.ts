import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Authenticate, AuthorizeTopic, StreamIdentity } from '../plugins/sse-hub.ts'
import { IDENTIFIES_SUBSCRIBERS } from './me.ts'
import { StreamParams, StreamTopics } from './schemas.ts'

/** The property of a request that holds the identity of the subscriber. */
const IDENTITY = Symbol('sse hub identity')

type Identified = FastifyRequest & { [IDENTITY]?: StreamIdentity }

/** `PUT /streams/:id/topics`: the topics that the caller requests for an open stream of its own. */
export function streamTopicsRoute(
  app: FastifyInstance,
  options: { authenticate?: Authenticate | undefined; authorizeTopic?: AuthorizeTopic | undefined }
): void {
  // Before the body is read.
  const onRequest = async (request: Identified): Promise<void> => {
    request[IDENTITY] = await app.sse.identify(request, options)
  }
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .put(
      '/streams/:id/topics',
      { schema: { params: StreamParams, body: StreamTopics }, onRequest, config: IDENTIFIES_SUBSCRIBERS },
      async (request, reply) => {
        const identity = (request as Identified)[IDENTITY] as StreamIdentity
        const change = { stream: request.params.id, topics: request.body.topics }
        await app.sse.requestTopics(request, identity, change, options)
        return reply.code(204).send()
      }
    )
}
