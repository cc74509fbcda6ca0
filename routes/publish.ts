import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Target } from '../services/events/target.ts'
import { afterDelivery } from './answering.ts'
import { type Guard, paramOf } from './guard.ts'
import { Batch, Draft, type DraftBody, Receipt, Receipts, TopicParams, UserParams } from './schemas.ts'

/** A quote or a control character takes six characters of JSON at most. */
const JSON_BYTES_A_BYTE = 6
/** Bytes for all properties of an event except its data, and for some whitespace. */
const REST_BYTES = 16_384
const MIB = 1_048_576
/** Maximum size of a batch, which is read into memory before it is checked. */
const MAX_BATCH_BYTES = 8 * MIB

/** Names the publisher of a request: idempotency keys of different publishers never collide. */
export type PublisherOf = (request: FastifyRequest) => string | undefined

/** `POST /broadcast`, `/users/:user/events`, `/topics/:topic/events` and, for batches, `/events`. */
export function publishRoutes(root: FastifyInstance, guard: Guard, publisherOf: PublisherOf = () => undefined): void {
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  const bodyLimit = Math.max(MIB, JSON_BYTES_A_BYTE * app.sse.options.maxEventBytes + REST_BYTES)
  const response = { 202: Receipt }
  const by = (request: FastifyRequest) => ({ publisher: publisherOf(request) })
  const to = (targetOf: (request: FastifyRequest) => Target) =>
    guard((request) => [{ verb: 'publish', target: targetOf(request) }])

  app.post(
    '/broadcast',
    { schema: { body: Draft, response }, bodyLimit, onRequest: to(() => ({ everyone: true })) },
    async (request, reply) => {
      reply.code(202)
      return afterDelivery(app.sse.broadcast(withKey(request, request.body), by(request)))
    }
  )

  app.post(
    '/users/:user/events',
    {
      schema: { params: UserParams, body: Draft, response },
      bodyLimit,
      onRequest: to((request) => ({ users: [paramOf(request, 'user')] }))
    },
    async (request, reply) => {
      reply.code(202)
      return afterDelivery(app.sse.send(request.params.user, withKey(request, request.body), by(request)))
    }
  )

  app.post(
    '/topics/:topic/events',
    {
      schema: { params: TopicParams, body: Draft, response },
      bodyLimit,
      onRequest: to((request) => ({ topics: [paramOf(request, 'topic')] }))
    },
    async (request, reply) => {
      reply.code(202)
      return afterDelivery(app.sse.publish(request.params.topic, withKey(request, request.body), by(request)))
    }
  )

  app.post(
    '/events',
    {
      schema: { body: Batch, response: { 202: Receipts } },
      bodyLimit: Math.max(MAX_BATCH_BYTES, bodyLimit),
      onRequest: to(() => ({})),
      preHandler: guard((request) =>
        (request.body as { to: Target }[]).map(({ to: target }) => ({ verb: 'publish' as const, target }))
      )
    },
    async (request, reply) => {
      reply.code(202)
      return afterDelivery(
        app.sse.publishBatch(
          request.body.map((event, index) => withKey(request, event, `/${index}`)),
          by(request)
        )
      )
    }
  )
}

/** Adds the idempotency key of the header, unless the event has its own. In a batch each event's key gets a suffix. */
function withKey<Event extends DraftBody>(request: FastifyRequest, event: Event, suffix = ''): Event {
  const key = request.headers['idempotency-key']
  if (typeof key !== 'string' || event.idempotencyKey !== undefined) return event
  return { ...event, idempotencyKey: key && key + suffix }
}
