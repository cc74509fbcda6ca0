import { type Static, Type } from '@sinclair/typebox'
import {
  DEFAULT_TICKET_TTL,
  MAX_TICKET_TOPICS,
  MAX_TICKET_TTL,
  MIN_TICKET_TTL
} from '../services/access/ticket-issuer.ts'
import { MAX_EXCEPTED } from '../services/events/target.ts'
import { MAX_LAST } from '../services/streams/stream-request.ts'

/** Maximum number of users, and of topics, of one target over HTTP. */
const MAX_TARGETS = 1_000

const Name = Type.String({ minLength: 1, maxLength: 256 })

const Strict = { additionalProperties: false }

/** A draft as a publisher sends it. The hub checks bytes and reserved names, which JSON Schema cannot express. */
const draft = {
  event: Type.Optional(Type.String({ description: 'The event name that clients listen for; "message" by default' })),
  data: Type.Unknown({ description: 'A string is sent unchanged, any other value as JSON' }),
  ttl: Type.Optional(
    Type.Integer({ minimum: 1, description: 'Time in milliseconds after which the event is not replayed' })
  ),
  collapseKey: Type.Optional(Type.String({ description: 'Only the newest event with a key is replayed' })),
  transient: Type.Optional(Type.Boolean({ description: 'Whether the event has no id and no history' })),
  inbox: Type.Optional(Type.Boolean({ description: 'Whether the event is filed in the inboxes of its users, too' })),
  idempotencyKey: Type.Optional(
    Type.String({ description: 'An event with a known key is not published again; wins over the header' })
  ),
  final: Type.Optional(Type.Boolean({ description: 'Whether the event ends the streams that follow the topic' })),
  fail: Type.Optional(
    Type.Boolean({ description: 'Whether the event is final, and the topic has failed: the close reason is "failed"' })
  )
}

export const Draft = Type.Object(draft, Strict)

export const TargetedDraft = Type.Object(
  {
    to: Type.Object(
      {
        users: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: MAX_TARGETS })),
        topics: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: MAX_TARGETS })),
        everyone: Type.Optional(Type.Literal(true)),
        except: Type.Optional(
          Type.Object(
            { users: Type.Array(Name, { minItems: 1, maxItems: MAX_EXCEPTED }) },
            { ...Strict, description: 'Users whose streams do not receive the event' }
          )
        )
      },
      { ...Strict, minProperties: 1 }
    ),
    ...draft
  },
  Strict
)

export const Batch = Type.Array(TargetedDraft, { minItems: 1 })

export const Receipt = Type.Object({
  id: Type.Union([Type.String(), Type.Null()]),
  streams: Type.Integer(),
  users: Type.Optional(
    Type.Object(
      {},
      {
        additionalProperties: Type.Integer(),
        description: 'The streams of each user, where the target names several'
      }
    )
  )
})
export const Receipts = Type.Array(Receipt)

export const UserParams = Type.Object({ user: Name })
export const TopicParams = Type.Object({ topic: Name })
export const StreamTopics = Type.Object(
  { topics: Type.Array(Name, { maxItems: 10_000, description: 'In place of those requested before' }) },
  Strict
)

export const StreamParams = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) })

/** Other parameters are allowed: the host's `authenticate` may read them. */
export const StreamQuery = Type.Object({
  follow: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'A topic whose events are sent, from the oldest to the final one'
    })
  ),
  topics: Type.Optional(Type.Union([Type.Array(Type.String()), Type.String()])),
  from: Type.Optional(Type.Literal('oldest')),
  last: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_LAST }))
})

const page = {
  after: Type.Optional(Type.String({ maxLength: 256 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 }))
}

export const PageQuery = Type.Object(page, Strict)
/** Other parameters are allowed, as for streams. */
export const OwnPageQuery = Type.Object(page)

const inboxPage = {
  ...page,
  before: Type.Optional(Type.String({ maxLength: 256, description: '"next" of the page before: older events' }))
}

export const InboxQuery = Type.Object(inboxPage, Strict)
export const OwnInboxQuery = Type.Object(inboxPage)

/** An empty cursor means no cursor, as for event sources. */
export function pageOf({ after, limit }: Static<typeof OwnPageQuery>): {
  after: string | undefined
  limit: number | undefined
} {
  return { after: after || undefined, limit }
}

/** The same for an inbox. */
export function inboxPageOf({ after, before, limit }: Static<typeof OwnInboxQuery>): {
  after: string | undefined
  before: string | undefined
  limit: number | undefined
} {
  return { after: after || undefined, before: before || undefined, limit }
}

export const Inbox = Type.Object({
  events: Type.Array(
    Type.Object({
      id: Type.String(),
      event: Type.String(),
      data: Type.String(),
      time: Type.String(),
      isRead: Type.Boolean()
    }),
    { description: 'The newest first' }
  ),
  unread: Type.Integer({ description: 'The unread events of the whole inbox' }),
  readUpTo: Type.Union([Type.String(), Type.Null()]),
  next: Type.Union([Type.String(), Type.Null()], { description: 'For ?before=, or null on the last page' })
})

export const MarkRead = Type.Object(
  {
    upTo: Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'The id of the newest event that was read, or later'
    })
  },
  Strict
)
export const ReadState = Type.Object({ upTo: Type.String(), unread: Type.Integer() })

export const InboxEventParams = Type.Object({ user: Name, id: Type.String({ minLength: 1, maxLength: 64 }) })
export const Retracted = Type.Object({ retracted: Type.Boolean() })

export const CloseQuery = Type.Object({ reconnect: Type.Optional(Type.Boolean()) }, Strict)
export const Closed = Type.Object({ closed: Type.Integer() })

export const History = Type.Object({
  events: Type.Array(
    Type.Object({ id: Type.String(), event: Type.String(), data: Type.String(), time: Type.String() })
  ),
  complete: Type.Boolean(),
  cursor: Type.String()
})

export const Head = Type.Object({
  cursor: Type.String({ description: 'The newest position of the log, for ?lastEventId= or ?after=' })
})

export const UserPresence = Type.Object({
  user: Type.String(),
  online: Type.Boolean(),
  streams: Type.Array(Type.Object({ id: Type.String(), since: Type.String(), topics: Type.Array(Type.String()) }))
})

export const InspectedStreams = Type.Object({
  streams: Type.Array(
    Type.Object({
      id: Type.String(),
      since: Type.String(),
      topics: Type.Array(Type.String()),
      state: Type.Optional(Type.String({ description: 'replaying, live or backpressured; absent on another node' })),
      behind: Type.Optional(Type.Integer({ description: 'Events that the stream has not written yet' })),
      unsent: Type.Optional(Type.Integer({ description: 'Bytes that wait in its socket' })),
      address: Type.Optional(Type.String({ description: 'Of the client; only for callers who may close the stream' }))
    }),
    { description: 'The oldest first' }
  )
})

export const Access = Type.Object({
  publish: Type.Boolean({ description: 'To some target at least' }),
  close: Type.Boolean(),
  read: Type.Boolean(),
  ticket: Type.Boolean({ description: 'For any user' })
})

export const OnlineUsers = Type.Object({
  users: Type.Array(Type.Object({ user: Type.String(), streams: Type.Integer() })),
  next: Type.Union([Type.String(), Type.Null()])
})

export const TopicListeners = Type.Object({ topic: Type.String(), streams: Type.Integer() })

export const TicketBody = Type.Object(
  {
    user: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'The user of the ticket; by default the subscriber who requests it'
      })
    ),
    topics: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 257 }), {
        maxItems: MAX_TICKET_TOPICS,
        description: 'Topics that the ticket grants: names, or prefixes with *'
      })
    ),
    ttl: Type.Optional(
      Type.Integer({
        minimum: MIN_TICKET_TTL,
        maximum: MAX_TICKET_TTL,
        description: `In milliseconds; ${DEFAULT_TICKET_TTL} by default`
      })
    )
  },
  Strict
)
export const TicketReceipt = Type.Object({ ticket: Type.String(), expiresAt: Type.String() })

export const Revoked = Type.Object({ revoked: Type.Integer() })

export const TaskQuery = Type.Object(
  {
    steps: Type.Optional(Type.Integer({ minimum: 1, maximum: 600 })),
    user: Type.Optional(Name),
    ticket: Type.Optional(Type.String({ maxLength: 256 })),
    // Polyfills send these instead of the header.
    lastEventId: Type.Optional(Type.String()),
    last_event_id: Type.Optional(Type.String()),
    'Last-Event-ID': Type.Optional(Type.String())
  },
  Strict
)

export type DraftBody = Static<typeof Draft>
