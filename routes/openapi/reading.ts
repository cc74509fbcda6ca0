import type { Example, Operation } from './operation.ts'
import { APPEND_ERRORS } from './publishing.ts'

const TAG = 'Reading'
const READ_ERRORS = ['SSE_HUB_ERR_LOG_UNAVAILABLE', 'SSE_HUB_ERR_LOG_LOST']

const event = { id: '7.def', event: 'order.shipped', data: '{"order":7}', time: '2026-01-31T12:00:00.000Z' }
export const HISTORY_EXAMPLE = { events: [event], complete: true, cursor: '7.def' }
export const INBOX_EXAMPLE = { events: [{ ...event, isRead: false }], unread: 1, readUpTo: null, next: null }

function history(id: string, summary: string, errors: readonly string[], params?: Record<string, string>): Operation {
  const example: Example = { ...(params && { params }), query: { limit: 20 } }
  return {
    ...{ id, summary, tag: TAG, caller: 'publisher', example },
    description:
      'The oldest event first. `cursor` is the `after` of the next page, and the `Last-Event-ID` of a stream that goes on from ' +
      'there. `complete` is false if there is another page, or if events after `after` are no longer retained.',
    success: { 200: { description: 'A page', example: HISTORY_EXAMPLE } },
    errors: [...errors, ...READ_ERRORS]
  }
}

export const READING: Record<string, Operation> = {
  'GET /users/:user/events': history('userHistory', 'The history of a user', ['SSE_HUB_ERR_INVALID_USER'], {
    user: 'alice'
  }),
  'GET /topics/:topic/events': history('topicHistory', 'The history of a topic', ['SSE_HUB_ERR_INVALID_TOPIC'], {
    topic: 'orders/7'
  }),
  'GET /broadcast': history('broadcastHistory', 'The history of events to everyone', []),
  'GET /cursor': {
    ...{ id: 'head', summary: 'The newest position of the event log', tag: TAG, caller: 'publisher', example: {} },
    description: 'A page that is rendered with it, and opens its event source with `?lastEventId=`, misses nothing.',
    success: { 200: { description: 'The head', example: { cursor: '7.def' } } },
    errors: READ_ERRORS
  },
  'GET /topics/:topic': {
    ...{ id: 'topicListeners', summary: 'The number of streams that listen to a topic', tag: TAG, caller: 'publisher' },
    success: { 200: { description: 'Over all nodes', example: { topic: 'orders/7', streams: 2 } } },
    errors: ['SSE_HUB_ERR_INVALID_TOPIC', 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE'],
    example: { params: { topic: 'orders/7' } }
  },
  'GET /users': {
    ...{ id: 'onlineUsers', summary: 'Users who are online, by name', tag: TAG, caller: 'publisher' },
    success: { 200: { description: 'A page', example: { users: [{ user: 'alice', streams: 2 }], next: null } } },
    errors: ['SSE_HUB_ERR_CLUSTER_UNAVAILABLE'],
    example: { query: { limit: 20 } }
  },
  'GET /users/:user/streams': {
    ...{ id: 'inspectStreams', summary: 'The open streams of a user, for operators', tag: TAG, caller: 'publisher' },
    description:
      'With state, position and address of those that are on the node that answers. `address` needs the right to close them.',
    success: {
      200: {
        description: 'Over all nodes, the oldest first',
        example: {
          streams: [
            {
              ...{ id: 'k2j4h6g8f0d1s3a5', since: '2026-01-31T12:00:00.000Z', topics: ['news'] },
              ...{ state: 'live', behind: 0, unsent: 0, address: '203.0.113.7' }
            }
          ]
        }
      }
    },
    errors: ['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE'],
    example: { params: { user: 'alice' } }
  },
  'GET /users/:user': {
    ...{ id: 'userPresence', summary: 'The open streams of a user', tag: TAG, caller: 'publisher' },
    success: {
      200: {
        description: 'Over all nodes, the oldest first',
        example: {
          ...{ user: 'alice', online: true },
          streams: [{ id: 'k2j4h6g8f0d1s3a5', since: '2026-01-31T12:00:00.000Z', topics: ['news'] }]
        }
      }
    },
    errors: ['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE'],
    example: { params: { user: 'alice' } }
  },
  'GET /users/:user/inbox': {
    ...{ id: 'userInbox', summary: 'The inbox of a user, the newest first', tag: TAG, caller: 'publisher' },
    success: { 200: { description: 'A page', example: INBOX_EXAMPLE } },
    errors: ['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_UNKNOWN_CURSOR', ...READ_ERRORS],
    example: { params: { user: 'alice' }, query: { limit: 20 } }
  },
  'DELETE /users/:user/inbox/:id': {
    ...{ id: 'retract', summary: "Retracts an event from a user's inbox and history", tag: TAG, caller: 'publisher' },
    description: 'Open streams receive `hub.retract`. It needs the right to publish to the user.',
    success: { 200: { description: 'Whether there was one', example: { retracted: true } } },
    errors: ['SSE_HUB_ERR_INVALID_USER', 'SSE_HUB_ERR_UNKNOWN_CURSOR', ...APPEND_ERRORS],
    example: { params: { user: 'alice', id: '7.def' } }
  }
}
