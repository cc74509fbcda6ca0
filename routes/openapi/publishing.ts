import { Type } from '@sinclair/typebox'
import type { Example, Operation } from './operation.ts'

const TAG = 'Publishing'
const RECEIPT = { id: '7.def', streams: 1 }
const ACCEPTED = 'Stored in the event log; `streams` is the number of open streams that it was addressed to'

const DRAFT_ERRORS = [
  'SSE_HUB_ERR_INVALID_EVENT_NAME',
  'SSE_HUB_ERR_RESERVED_EVENT_NAME',
  'SSE_HUB_ERR_INVALID_DATA',
  'SSE_HUB_ERR_INVALID_DRAFT',
  'SSE_HUB_ERR_EVENT_TOO_LARGE',
  'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED'
]
/** Errors of every call that appends to the event log. */
export const APPEND_ERRORS = [
  'SSE_HUB_ERR_CLOSED',
  'SSE_HUB_ERR_LOG_UNAVAILABLE',
  'SSE_HUB_ERR_LOG_LOST',
  'SSE_HUB_ERR_LOG_FULL'
]

const headers = {
  'Idempotency-Key': Type.String({
    description: 'The event is published once, however often the call is repeated; an idempotencyKey in the body wins'
  }),
  traceparent: Type.String({
    description: 'The trace that the publication continues, if the hub traces; else ignored'
  }),
  tracestate: Type.String({ description: 'Goes with it, up to 512 characters' })
}

function publishing(id: string, summary: string, errors: readonly string[], example: Example): Operation {
  return {
    ...{ id, summary, tag: TAG, caller: 'publisher', headers, example },
    success: { 202: { description: ACCEPTED, example: RECEIPT } },
    errors: [...errors, ...DRAFT_ERRORS, ...APPEND_ERRORS]
  }
}

const shipped = { event: 'order.shipped', data: { order: 7 } }

export const PUBLISHING: Record<string, Operation> = {
  'POST /users/:user/events': publishing('sendToUser', 'Publishes an event to a user', ['SSE_HUB_ERR_INVALID_USER'], {
    params: { user: 'alice' },
    body: { ...shipped, inbox: true, idempotencyKey: 'order-7-shipped' }
  }),
  'POST /topics/:topic/events': publishing(
    'publishToTopic',
    'Publishes an event to a topic',
    ['SSE_HUB_ERR_INVALID_TOPIC'],
    { params: { topic: 'orders/7' }, body: { event: 'progress', data: { step: 1 }, ttl: 60_000 } }
  ),
  'POST /broadcast': publishing('broadcast', 'Publishes an event to everyone', [], {
    body: { event: 'maintenance', data: 'from 22:00', collapseKey: 'maintenance' }
  }),
  'POST /events': {
    ...publishing(
      'publishBatch',
      'Publishes several events, all or none, in their order',
      [
        ...['SSE_HUB_ERR_INVALID_TARGET', 'SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_INVALID_TOPIC'],
        'SSE_HUB_ERR_BATCH_TOO_LARGE'
      ],
      {
        body: [
          { to: { users: ['alice', 'bob'] }, ...shipped },
          { to: { topics: ['room'], except: { users: ['alice'] } }, data: 'hi' }
        ]
      }
    ),
    description:
      'A body of the type `application/x-ndjson` has an event on each line, without a bound on their number: each line is accepted ' +
      'or refused for itself, and answered with a line, a receipt or an error.',
    success: {
      200: {
        description: 'The answer to JSON lines: a line for each',
        schema: Type.String(),
        mediaType: 'application/x-ndjson',
        example: `${JSON.stringify(RECEIPT)}\n`
      },
      202: { description: 'A receipt for each event', example: [{ ...RECEIPT, users: { alice: 1, bob: 0 } }, RECEIPT] }
    }
  }
}
