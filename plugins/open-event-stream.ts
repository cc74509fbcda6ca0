import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CloseReason } from '../services/close-reason.ts'
import { isEnded } from '../services/cursor.ts'
import { NotAcceptableError, PipelinedError } from '../services/errors.ts'
import type { EventStream } from '../services/event-stream.ts'
import type { Opening, StreamKeeper } from '../services/stream-keeper.ts'
import { acceptsEventStream } from './accept.ts'
import { openSink } from './response-sink.ts'

/** How long the few bytes of a refusal may take to leave, in milliseconds. */
const REFUSAL_GRACE = 2_000

/** Headers that other plugins may have set and that make no sense on a stream without a known length or an encoding. */
const DROPPED = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'etag'
])

const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  // Nobody may keep it, or hold parts of it back to compress them.
  'cache-control': 'no-store, no-transform',
  // nginx collects a response before it passes it on, unless it is told not to.
  'x-accel-buffering': 'no'
}

/** What cannot be a stream is told by a status, which is final for an event source, before anything else happens. */
export function checkRequest(request: FastifyRequest, reply: FastifyReply): void {
  if (!acceptsEventStream(request.headers.accept)) throw new NotAcceptableError()
  // A request behind an open stream on the same connection has no socket to answer on, and would wait, unseen, for ever.
  if (request.raw.httpVersionMajor === 1 && reply.raw.socket === null) {
    request.raw.socket.destroy()
    throw new PipelinedError()
  }
}

/**
 * Makes an event stream of a reply, once the caller is known. Throws while an ordinary error can still be sent; afterwards
 * the reply is the hub's. Resolves with undefined where there is no stream: `HEAD`, a stream that was closed for good, or a
 * soft refusal.
 */
export function openEventStream(
  keeper: StreamKeeper,
  request: FastifyRequest,
  reply: FastifyReply,
  opening: Opening
): EventStream | undefined {
  keeper.check(opening)
  const lastEventId = opening.lastEventId ?? lastEventIdOf(request)
  const headers = streamHeaders(reply)
  // From here on the host's `handlerTimeout`, `onSend` and compression have no part in it.
  reply.hijack()
  if (isGone(reply)) return undefined
  if (lastEventId !== undefined && isEnded(lastEventId)) {
    answer(reply, 204, withoutStream(headers))
    return undefined
  }
  if (request.method === 'HEAD') {
    answer(reply, 200, headers)
    return undefined
  }
  const refusal = keeper.admit(opening.user, request.ip)
  if (refusal !== undefined) {
    sendRefusal(keeper, request, reply, headers, refusal)
    return undefined
  }
  const sink = openSink(request.raw, reply.raw, headers)
  return keeper.open(sink, { ...opening, lastEventId, address: request.ip })
}

/** Turns a caller away for now: an event source takes any status but 200 as the end for good. */
export function refuse(keeper: StreamKeeper, request: FastifyRequest, reply: FastifyReply, reason: CloseReason): void {
  const headers = streamHeaders(reply)
  reply.hijack()
  if (!isGone(reply)) sendRefusal(keeper, request, reply, headers, reason)
}

function sendRefusal(
  keeper: StreamKeeper,
  request: FastifyRequest,
  reply: FastifyReply,
  headers: OutgoingHttpHeaders,
  reason: CloseReason
): void {
  openSink(request.raw, reply.raw, headers).end(keeper.refusal(reason), REFUSAL_GRACE)
}

/** The header wins over the query: it is what an event source brings when it comes back to the URL that it was opened with. */
function lastEventIdOf(request: FastifyRequest): string | undefined {
  const header = request.headers['last-event-id']
  if (typeof header === 'string' && header !== '') return header
  const query = (request.query ?? {}) as Record<string, unknown>
  // The spellings of the polyfills, which cannot set the header.
  return [query.lastEventId, query.last_event_id, query['Last-Event-ID']].find(
    (value): value is string => typeof value === 'string' && value !== ''
  )
}

/** What other plugins have set, CORS and cookies among it, and what a stream needs. */
function streamHeaders(reply: FastifyReply): OutgoingHttpHeaders {
  const kept = Object.entries(reply.getHeaders()).filter(([name]) => !DROPPED.has(name.toLowerCase()))
  return { ...(Object.fromEntries(kept) as OutgoingHttpHeaders), ...STREAM_HEADERS }
}

function withoutStream({
  'content-type': _,
  'x-accel-buffering': __,
  ...headers
}: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return headers
}

function answer(reply: FastifyReply, status: number, headers: OutgoingHttpHeaders): void {
  reply.raw.writeHead(status, headers)
  reply.raw.end()
}

/** Whether the client left while its identity was being looked up. */
function isGone(reply: FastifyReply): boolean {
  return reply.raw.destroyed || reply.raw.socket?.destroyed === true
}
