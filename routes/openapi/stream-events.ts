import { type TSchema, Type } from '@sinclair/typebox'
import { CLOSE_REASONS } from '../../services/events/close-reason.ts'

const Id = Type.String({ pattern: '^[0-9a-z.]{1,40}$', description: 'A cursor: the Last-Event-ID to resume after' })
const Nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])

/** The data of each event that the hub itself sends on a stream, by its name. */
export const HUB_EVENTS: Record<string, TSchema> = {
  'hub.welcome': Type.Object(
    {
      stream: Type.String({ description: 'For DELETE /streams/{id} and PUT /streams/{id}/topics' }),
      user: Nullable(Type.String()),
      topics: Type.Array(Type.String(), { description: 'The topics that the stream listens to' }),
      expiresAt: Type.Optional(
        Type.String({ format: 'date-time', description: "When the stream's identity expires; left out if it does not" })
      ),
      expiresIn: Type.Optional(Type.Integer({ description: 'In how many milliseconds it expires' })),
      online: Type.Optional(
        Type.Object(
          { users: Type.Integer(), streams: Type.Integer() },
          { description: 'Of the whole hub, if it is open' }
        )
      ),
      heartbeatInterval: Type.Integer({ description: 'In milliseconds' }),
      resumed: Type.Boolean({ description: 'Whether the stream continues after Last-Event-ID without a gap' }),
      replayed: Type.Integer({ description: 'The number of the next events that are history' }),
      unread: Type.Optional(Type.Integer({ description: 'Unread events of the inbox, while inboxes are in use' }))
    },
    {
      description: 'The first event of each stream, with the reconnection time in "retry"',
      examples: [
        {
          stream: 'k2j4h6g8f0d1s3a5',
          user: 'alice',
          topics: ['news'],
          heartbeatInterval: 15_000,
          resumed: false,
          replayed: 0,
          unread: 0
        }
      ]
    }
  ),
  'hub.heartbeat': Type.String({
    maxLength: 0,
    description: 'Empty; after heartbeatInterval of silence. Its id moves the cursor of a quiet user',
    examples: ['']
  }),
  'hub.topics': Type.Object(
    { topics: Type.Array(Type.String()) },
    {
      description: "After a change of the stream's topics; events of new topics follow",
      examples: [{ topics: ['news'] }]
    }
  ),
  'hub.gap': Type.Object(
    {
      from: Nullable(Id),
      oldest: Nullable(Id),
      reason: Type.String({ enum: ['evicted', 'reset', 'diverged', 'unknown'] })
    },
    {
      description: 'History after "from" is incomplete; the retained events from "oldest" follow',
      examples: [{ from: '1.abc', oldest: '7.def', reason: 'evicted' }]
    }
  ),
  'hub.read': Type.Object(
    { upTo: Id, unread: Type.Integer() },
    { description: 'The user has read the inbox up to this id', examples: [{ upTo: '7.def', unread: 0 }] }
  ),
  'hub.unread': Type.Object(
    { unread: Type.Integer() },
    { description: "Unread events of the user's inbox; without an id", examples: [{ unread: 3 }] }
  ),
  'hub.retract': Type.Object(
    { id: Id },
    { description: 'The event with this id was retracted', examples: [{ id: '7.def' }] }
  ),
  'hub.close': Type.Object(
    {
      reason: Type.String({ enum: [...CLOSE_REASONS] }),
      reconnect: Type.Boolean({ description: 'If false, a client that returns is answered 204' })
    },
    { description: 'The last event of a stream', examples: [{ reason: 'shutdown', reconnect: true }] }
  )
}

/** One of the hub's own events as a client dispatches it: on the wire its data is JSON. */
function eventSchema(name: string, data: TSchema): TSchema {
  const isEmpty = data.type === 'string'
  return Type.Object(
    {
      event: Type.String({ enum: [name] }),
      data: isEmpty ? data : Type.String({ contentMediaType: 'application/json', contentSchema: data }),
      id: Type.Optional(Id),
      retry: Type.Optional(Type.Integer({ description: 'Reconnection time in milliseconds' }))
    },
    { title: name, description: data.description ?? '' }
  )
}

const PublishedEvent = Type.Object(
  {
    event: Type.Optional(
      Type.String({ pattern: '^(?!hub\\.)', description: 'The name of the event; "message" by default' })
    ),
    data: Type.String({ description: 'The text of the publisher, or its value as JSON' }),
    id: Type.Optional(Id)
  },
  { title: 'event', description: 'An event of a publisher. A transient one has no id' }
)

/** One event of an event stream, as a client dispatches it. */
export const StreamEvent = Type.Union(
  [PublishedEvent, ...Object.entries(HUB_EVENTS).map(([name, data]) => eventSchema(name, data))],
  { description: 'Each block of the event stream (text/event-stream)' }
)

/** A short stream on the wire. */
export const STREAM_EXAMPLE = [
  ...['event: hub.welcome', `data: ${JSON.stringify(HUB_EVENTS['hub.welcome']?.examples[0])}`],
  ...['id: 6.abc', 'retry: 2000', ''],
  ...['event: order.shipped', 'data: {"order":7}', 'id: 7.def', ''],
  ...['event: hub.close', 'data: {"reason":"shutdown","reconnect":true}', 'retry: 3120', '', '']
].join('\n')
