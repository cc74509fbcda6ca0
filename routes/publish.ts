import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Target } from '../services/target.ts'
import type { Guard } from './guard.ts'
import { Batch, Draft, type DraftBody, Receipt, Receipts, TopicParams, UserParams } from './schemas.ts'

/** A quote or a control character takes six characters of JSON at most. */
const JSON_BYTES_A_BYTE = 6
const MIB = 1_048_576
/** A batch is read into memory whole before it is checked. */
const MAX_BATCH_BYTES = 8 * MIB

/** `POST /broadcast`, `/users/:user/events`, `/topics/:topic/events` and, for batches, `/events`. */
export function publishRoutes(root: FastifyInstance, guard: Guard): void {
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  const bodyLimit = Math.max(MIB, JSON_BYTES_A_BYTE * app.sse.options.maxEventBytes)
  const response = { 202: Receipt }
  const to = (targetOf: (request: FastifyRequest) => Target) =>
    guard((request) => [{ verb: 'publish', target: targetOf(request) }])

  app.post(
    '/broadcast',
    { schema: { body: Draft, response }, bodyLimit, preHandler: to(() => ({ everyone: true })) },
    async (request, reply) => {
      reply.code(202)
      return app.sse.broadcast(withKey(request, request.body))
    }
  )

  app.post(
    '/users/:user/events',
    {
      schema: { params: UserParams, body: Draft, response },
      bodyLimit,
      preHandler: to((request) => ({ users: [(request.params as { user: string }).user] }))
    },
    async (request, reply) => {
      reply.code(202)
      return app.sse.send(request.params.user, withKey(request, request.body))
    }
  )

  app.post(
    '/topics/:topic/events',
    {
      schema: { params: TopicParams, body: Draft, response },
      bodyLimit,
      preHandler: to((request) => ({ topics: [(request.params as { topic: string }).topic] }))
    },
    async (request, reply) => {
      reply.code(202)
      return app.sse.publish(request.params.topic, withKey(request, request.body))
    }
  )

  app.post(
    '/events',
    {
      schema: { body: Batch, response: { 202: Receipts } },
      bodyLimit: Math.max(MAX_BATCH_BYTES, bodyLimit),
      preHandler: guard((request) =>
        (request.body as { to: Target }[]).map(({ to: target }) => ({ verb: 'publish' as const, target }))
      )
    },
    async (request, reply) => {
      reply.code(202)
      return app.sse.publishBatch(request.body)
    }
  )
}

/** The key of the header, unless the body has one of its own. */
function withKey(request: FastifyRequest, body: DraftBody): DraftBody {
  const key = request.headers['idempotency-key']
  return typeof key === 'string' && body.idempotencyKey === undefined ? { ...body, idempotencyKey: key } : body
}
