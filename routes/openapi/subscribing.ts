import { Type } from '@sinclair/typebox'
import type { Operation } from './operation.ts'
import { APPEND_ERRORS } from './publishing.ts'
import { HISTORY_EXAMPLE, INBOX_EXAMPLE } from './reading.ts'
import { STREAM_EXAMPLE, StreamEvent } from './stream-events.ts'

const TAG = 'Subscribing'

/** Read by the authentication, not by the routes. */
const credentials = {
  user: Type.String({ description: 'The user; on an open standalone hub only', examples: ['alice'] }),
  ticket: Type.String({ description: 'A ticket of POST /tickets, where no header can be sent' })
}

const lastEventId = Type.String({
  description: 'The id of the last event that the client received',
  examples: ['7.def']
})

const streamErrors = [
  'SSE_HUB_ERR_INVALID_USER',
  'SSE_HUB_ERR_INVALID_TOPIC',
  'SSE_HUB_ERR_TOO_MANY_TOPICS',
  'SSE_HUB_ERR_INVALID_DRAFT',
  'SSE_HUB_ERR_PIPELINED',
  'SSE_HUB_ERR_TOPIC_FORBIDDEN',
  'SSE_HUB_ERR_NOT_ACCEPTABLE'
]

const stream = {
  description:
    'The stream. A refusal that may pass is a stream of one `hub.close` with `reconnect: true`, because an event source ' +
    'gives up at any other status',
  schema: StreamEvent,
  mediaType: 'text/event-stream',
  example: STREAM_EXAMPLE
}
const ended = { description: 'The stream has ended for good; the event source does not return' }

export const SUBSCRIBING: Record<string, Operation> = {
  'GET /events': {
    ...{ id: 'openStream', summary: "Opens the caller's event stream", tag: TAG, caller: 'subscriber', isStream: true },
    description:
      'Sends `hub.welcome`, then what the client has missed since `Last-Event-ID`, then events as they are published, and ' +
      '`hub.heartbeat` in silence. With `follow` it sends the events of one topic, from the oldest to the final one.',
    success: { 200: stream, 204: ended },
    errors: streamErrors,
    example: { query: { topics: 'news,orders/7' } },
    headers: { 'Last-Event-ID': lastEventId },
    query: {
      ...credentials,
      lastEventId: Type.String({ description: 'The same as the header, for clients that cannot set it' })
    }
  },
  'PUT /streams/:id/topics': {
    ...{ id: 'changeTopics', summary: 'Changes the topics of an open stream of the caller', tag: TAG },
    caller: 'subscriber',
    description: 'The stream goes on, and receives `hub.topics`. A new topic begins at the moment of the change.',
    success: { 204: { description: 'The topics are in force on the stream' } },
    errors: [
      ...['SSE_HUB_ERR_INVALID_TOPIC', 'SSE_HUB_ERR_TOO_MANY_TOPICS', 'SSE_HUB_ERR_INVALID_DRAFT'],
      ...['SSE_HUB_ERR_TOPIC_FORBIDDEN', 'SSE_HUB_ERR_NOT_FOUND', 'SSE_HUB_ERR_TOPICS_FIXED'],
      ...['SSE_HUB_ERR_CLUSTER_UNAVAILABLE', 'SSE_HUB_ERR_CLOSED']
    ],
    example: { params: { id: 'k2j4h6g8f0d1s3a5' }, body: { topics: ['news'] } },
    query: credentials
  },
  'GET /me/events': {
    ...{ id: 'ownHistory', summary: "The subscriber's own history, the oldest first", tag: TAG, caller: 'subscriber' },
    success: { 200: { description: 'A page', example: HISTORY_EXAMPLE } },
    errors: ['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_LOG_UNAVAILABLE', 'SSE_HUB_ERR_LOG_LOST'],
    example: { query: { limit: 20 } },
    query: credentials
  },
  'GET /me/inbox': {
    ...{ id: 'ownInbox', summary: "The subscriber's own inbox, the newest first", tag: TAG, caller: 'subscriber' },
    success: { 200: { description: 'A page', example: INBOX_EXAMPLE } },
    errors: [
      ...['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_UNKNOWN_CURSOR'],
      ...['SSE_HUB_ERR_LOG_UNAVAILABLE', 'SSE_HUB_ERR_LOG_LOST']
    ],
    example: { query: { limit: 20 } },
    query: credentials
  },
  'POST /me/read': {
    ...{ id: 'markRead', summary: 'Moves the read cursor of the own inbox', tag: TAG, caller: 'subscriber' },
    description: 'Every stream of the user receives `hub.read`. The read cursor never moves back.',
    success: { 200: { description: 'The read cursor and the unread count', example: { upTo: '7.def', unread: 0 } } },
    errors: ['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_UNKNOWN_CURSOR', ...APPEND_ERRORS],
    example: { body: { upTo: '7.def' } },
    query: credentials
  },
  'GET /tasks/demo': {
    ...{ id: 'demoTask', summary: 'A finite stream to look at, on an open hub only', tag: TAG, caller: 'any' },
    isStream: true,
    success: { 200: stream, 204: ended },
    errors: streamErrors,
    example: { query: { steps: 1 } },
    headers: { 'Last-Event-ID': lastEventId }
  }
}
