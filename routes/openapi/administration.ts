import { Type } from '@sinclair/typebox'
import type { Operation } from './operation.ts'

const TAG = 'Administration'
const HEALTH = 'Health'

const Count = Type.Integer({ minimum: 0 })
const Counts = Type.Record(Type.String(), Count)

const Stats = Type.Object({
  streams: Type.Integer({ description: 'Open streams of this node' }),
  users: Type.Integer({ description: 'Users who have a stream on this node' }),
  cluster: Type.Object({ streams: Count, users: Count }, { description: 'The same of all nodes' }),
  published: Type.Integer({ description: 'Events that this node has accepted since its start' }),
  opened: Type.Integer({ description: 'Streams that this node has opened since its start' }),
  closed: Type.Intersect([Counts], { description: 'Closed streams, by reason' }),
  refused: Type.Intersect([Counts], { description: 'Refused requests, connections and streams, by reason' }),
  log: Type.Object({}, { additionalProperties: true, description: 'Counts of the event log' }),
  states: Type.Intersect([Counts], { description: 'Open streams of this node, by state' }),
  nodes: Type.Integer({ description: 'Live nodes' }),
  connections: Type.Object(
    { open: Count, max: Type.Union([Count, Type.Null()]) },
    { description: 'Connections of this node, and their limit' }
  ),
  workers: Type.Optional(
    Type.Array(Type.Object({ worker: Count, streams: Count }), {
      description: 'The workers of the server whose counts are added up here; only with several workers'
    })
  )
})

const Settings = Type.Object({}, { additionalProperties: true })

const Status = Type.Object({ status: Type.String({ enum: ['ok', 'unavailable'] }) })

const probe = { tag: HEALTH, caller: 'any', errors: [], example: {} } as const

export const ADMINISTRATION: Record<string, Operation> = {
  'DELETE /users/:user/streams': {
    ...{ id: 'closeStreamsOfUser', summary: 'Closes all streams of a user', tag: TAG, caller: 'publisher' },
    description: 'For good, unless `reconnect=true`: then the clients return.',
    success: { 200: { description: 'The number of closed streams, over all nodes', example: { closed: 2 } } },
    errors: ['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE'],
    example: { params: { user: 'alice' }, query: { reconnect: true } }
  },
  'DELETE /streams/:id': {
    ...{ id: 'closeStream', summary: 'Closes one stream', tag: TAG, caller: 'publisher' },
    success: { 200: { description: '1, or 0 if there is no such stream', example: { closed: 1 } } },
    errors: ['SSE_HUB_ERR_CLUSTER_UNAVAILABLE'],
    example: { params: { id: 'k2j4h6g8f0d1s3a5' } }
  },
  'POST /tickets': {
    ...{ id: 'issueTicket', summary: 'Issues a ticket, which opens streams by its URL', tag: TAG, caller: 'holder' },
    description:
      'A subscriber with a token receives a ticket for its own user; a publisher with the scope `ticket` names the user.',
    success: {
      201: {
        description: 'For `GET /events?ticket=`',
        example: { ticket: 'p7mW0nQ4r2V8yXk1tB5uE9sLzA3dG6hJcF0oI-_qTwe', expiresAt: '2026-01-31T12:01:00.000Z' }
      }
    },
    errors: ['SSE_HUB_ERR_INVALID_TICKET', 'SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_TICKETS_UNAVAILABLE'],
    example: { body: { user: 'alice', topics: ['news', 'orders/*'], ttl: 60_000 } }
  },
  'DELETE /users/:user/tickets': {
    ...{ id: 'revokeTickets', summary: 'Revokes all tickets of a user', tag: TAG, caller: 'holder' },
    description: 'Streams stay open: `DELETE /users/{user}/streams` closes them.',
    success: { 200: { description: 'The number of revoked tickets', example: { revoked: 1 } } },
    errors: ['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_TICKETS_UNAVAILABLE'],
    example: { params: { user: 'alice' } }
  },
  'GET /stats': {
    ...{ id: 'stats', summary: 'Counts of this node, and of all', tag: TAG, caller: 'publisher', example: {} },
    description: 'With several workers, the sums of those that answer within a second.',
    success: { 200: { description: 'Counts', schema: Stats } },
    errors: []
  },
  'GET /settings': {
    ...{ id: 'settings', summary: 'The settings in force on this node', tag: TAG, caller: 'publisher', example: {} },
    description: 'Durations are in milliseconds, sizes in bytes. Without secrets.',
    success: { 200: { description: 'Settings by name', schema: Settings, example: { heartbeatInterval: 15_000 } } },
    errors: []
  },
  'GET /access': {
    ...{ id: 'access', summary: 'The rights of the caller', tag: TAG, caller: 'any', example: {} },
    description: 'Without credentials on a locked hub that is nothing. Invalid credentials are an error.',
    success: {
      200: { description: 'Rights', example: { publish: true, close: false, read: true, ticket: false } }
    },
    errors: []
  },
  'GET /metrics': {
    ...{ id: 'metrics', summary: 'Metrics of this node, as Prometheus reads them', tag: TAG, caller: 'publisher' },
    description:
      'On a locked hub it needs a key with the scope `metrics` or `read`. With several workers each value has the label `worker`.',
    success: {
      200: {
        description: 'Metrics',
        schema: Type.String(),
        mediaType: 'text/plain',
        example: '# TYPE sse_hub_users gauge\nsse_hub_users 2\n'
      }
    },
    errors: [],
    example: {}
  },
  'GET /health/live': {
    ...{ ...probe, id: 'live', summary: 'Liveness, for a supervisor' },
    success: { 200: { description: 'The process serves', schema: Status, example: { status: 'ok' } } }
  },
  'GET /health/ready': {
    ...{ ...probe, id: 'ready', summary: 'Readiness, for a load balancer' },
    success: {
      200: { description: 'The hub accepts events and streams', schema: Status, example: { status: 'ok' } },
      503: { description: 'It does not now', schema: Status, example: { status: 'unavailable' } }
    }
  }
}
