import { Readable } from 'node:stream'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Static } from '@sinclair/typebox'
import type { FastifyInstance, FastifyRequest, FastifySchemaCompiler } from 'fastify'
import type { Target } from '../services/events/target.ts'
import type { TraceHeaders } from '../services/events/trace.ts'
import { afterDelivery } from './answering.ts'
import { guardWith, type Permit, paramOf } from './guard.ts'
import { answerLines, hasJsonLines } from './json-lines.ts'
import { Batch, Draft, type DraftBody, Receipt, Receipts, TargetedDraft, TopicParams, UserParams } from './schemas.ts'
import { validatorCompiler } from './validation.ts'

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
export function publishRoutes(root: FastifyInstance, permit: Permit, publisherOf: PublisherOf = () => undefined): void {
  const guard = guardWith(permit)
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  const bodyLimit = Math.max(MIB, JSON_BYTES_A_BYTE * app.sse.options.maxEventBytes + REST_BYTES)
  const response = { 202: Receipt }
  const by = (request: FastifyRequest) => ({ publisher: publisherOf(request), trace: traceOf(request) })
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

  const publishLine = lineValidator()
  app.post(
    '/events',
    {
      schema: { body: Batch, response: { 202: Receipts } },
      validatorCompiler: ofWholeBodies,
      config: { takesLines: true },
      bodyLimit: Math.max(MAX_BATCH_BYTES, bodyLimit),
      onRequest: to(() => ({})),
      preHandler: guard((request) =>
        hasJsonLines(request) ? [] : (request.body as Static<typeof Batch>).map(publishingOf)
      )
    },
    async (request, reply) => {
      if (hasJsonLines(request))
        return answerLines(request, reply, bodyLimit, async (value, index) => {
          const event = publishLine(value)
          await permit(request, [publishingOf(event)])
          return async () => {
            const [receipt] = await app.sse.publishBatch([withKey(request, event, `/${index}`)], by(request))
            return receipt as object
          }
        })
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

type TargetedBody = Static<typeof TargetedDraft>

const publishingOf = ({ to: target }: TargetedBody) => ({ verb: 'publish' as const, target })

/** Lines are checked one by one. */
const ofWholeBodies: FastifySchemaCompiler<unknown> = (route) => {
  const validate = validatorCompiler(route as Parameters<typeof validatorCompiler>[0])
  return (value: unknown) => (value instanceof Readable ? { value } : validate(value))
}

/** Checks the value of a line as the route's schema checks a body. */
function lineValidator(): (value: unknown) => TargetedBody {
  const validate = validatorCompiler({ schema: TargetedDraft, httpPart: 'line', method: 'POST', url: '/events' })
  return (value) => {
    const { error } = validate(value) as { error?: Error }
    if (error !== undefined) throw error
    return value as TargetedBody
  }
}

/** Adds the idempotency key of the header, unless the event has its own. In a batch each event's key gets a suffix. */
function withKey<Event extends DraftBody>(request: FastifyRequest, event: Event, suffix = ''): Event {
  const key = request.headers['idempotency-key']
  if (typeof key !== 'string' || event.idempotencyKey !== undefined) return event
  return { ...event, idempotencyKey: key && key + suffix }
}

/** The trace that the caller continues: headers that are not valid are ignored later. */
function traceOf({ headers: { traceparent, tracestate } }: FastifyRequest): TraceHeaders | undefined {
  if (typeof traceparent !== 'string') return undefined
  return { traceparent, tracestate: typeof tracestate === 'string' ? tracestate : undefined }
}
