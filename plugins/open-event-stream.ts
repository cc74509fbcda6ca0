import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { StreamEntry } from '../services/cluster/cluster.ts'
import { NotAcceptableError, PipelinedError, ReplySentError } from '../services/errors.ts'
import { isEnded } from '../services/events/cursor.ts'
import { networkOf } from '../services/network-address.ts'
import type { StreamRejection } from '../services/streams/admission.ts'
import type { EventStream } from '../services/streams/event-stream.ts'
import type { StreamManager } from '../services/streams/stream-manager.ts'
import type { StreamRequest } from '../services/streams/stream-request.ts'
import { acceptsEventStream } from './accept.ts'
import { isHttp2, openSink } from './response-sink.ts'

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
  claim(reply)
  if (!acceptsEventStream(request.headers.accept)) throw new NotAcceptableError()
  // A request behind an open stream on the same connection has no socket to answer on, and would wait, unseen, for ever.
  if (request.raw.httpVersionMajor === 1 && reply.raw.socket === null && !reply.raw.headersSent) {
    request.raw.socket.destroy()
    throw new PipelinedError()
  }
}

/** Marks a reply that a stream is opened on. */
const CLAIMED = Symbol('sse hub stream')

/** @throws {ReplySentError} when something else was sent, or another stream was opened, on the reply. */
function claim(reply: FastifyReply & { [CLAIMED]?: true }): void {
  const { raw } = reply
  if (!raw.headersSent && reply[CLAIMED] === undefined) {
    reply[CLAIMED] = true
    return
  }
  if (raw.headersSent && reply[CLAIMED] === undefined) abandon(reply)
  throw new ReplySentError()
}

/** Cuts a response that was begun past Fastify and that nothing writes to: its client, and the app's close, would wait for ever. */
function abandon(reply: FastifyReply): void {
  // Fastify would try to send another head.
  if (!reply.sent) reply.hijack()
  if (!reply.raw.writableEnded && reply.raw.listenerCount('unpipe') === 0) reply.raw.destroy()
}

/**
 * Makes an event stream of a reply, once the caller is known. Throws while an ordinary error can still be sent; afterwards
 * the reply is the hub's. Returns undefined where there is no stream: `HEAD`, a stream that was closed for good, or a soft
 * refusal; and a promise only where other nodes have to be asked whether there is room.
 */
export function openEventStream(
  manager: StreamManager,
  request: FastifyRequest,
  reply: FastifyReply,
  opening: StreamRequest
): EventStream | undefined | Promise<EventStream | undefined> {
  const { admission } = manager
  admission.check(opening)
  const brought = lastEventIdOf(request)
  const lastEventId = opening.lastEventId ?? brought
  const headers = takeOver(request, reply)
  if (headers === undefined) return undefined
  // Whatever place the host has named: who was sent away for good and comes back by himself is told so.
  if ([brought, lastEventId].some((id) => id !== undefined && isEnded(id))) {
    answer(reply, 204, withoutStream(headers))
    return undefined
  }
  if (request.method === 'HEAD') {
    answer(reply, 200, headers)
    return undefined
  }
  // To ask for an address is a call into the system, and the answer is kept with the socket.
  const address = admission.limitsAddresses ? networkOf(request.ip) : ''
  const refusal = admission.isTooFast(opening.user, address) ? 'limit' : admission.admit(opening.user, address)
  if (refusal !== undefined) {
    manager.rejected[refusal]++
    sendRefusal(manager, request, reply, headers, refusal)
    return undefined
  }
  const admitted = { ...opening, lastEventId, address }
  const reserving = admission.reserve(admitted)
  if (reserving !== undefined) return openReserved(manager, request, reply, headers, admitted, reserving)
  return manager.open(openSink(request.raw, reply.raw, headers), admitted)
}

/** Opens a stream once the other nodes have said whether there is room for it. Much may have happened meanwhile. */
async function openReserved(
  manager: StreamManager,
  request: FastifyRequest,
  reply: FastifyReply,
  headers: OutgoingHttpHeaders,
  opening: StreamRequest,
  reserving: Promise<StreamEntry | undefined>
): Promise<EventStream | undefined> {
  const reserved = await reserving
  let stream: EventStream | undefined
  try {
    if (isGone(request, reply)) return undefined
    const refusal = reserved === undefined ? 'limit' : manager.admission.admit(opening.user, opening.address ?? '')
    if (refusal !== undefined) {
      manager.rejected[refusal]++
      sendRefusal(manager, request, reply, headers, refusal)
    } else stream = manager.open(openSink(request.raw, reply.raw, headers), { ...opening, id: reserved?.id })
  } finally {
    if (stream === undefined && reserved !== undefined) manager.admission.release(reserved)
  }
  return stream
}

/** Turns a caller away for now: an event source takes any status but 200 as the end for good. */
export function refuse(
  manager: StreamManager,
  request: FastifyRequest,
  reply: FastifyReply,
  reason: StreamRejection
): void {
  const headers = takeOver(request, reply)
  if (headers !== undefined) sendRefusal(manager, request, reply, headers, reason)
}

/** Makes the reply the hub's, and returns its headers; or undefined, if there is nothing left to answer. */
function takeOver(request: FastifyRequest, reply: FastifyReply): OutgoingHttpHeaders | undefined {
  // From here on the host's `handlerTimeout`, `onSend` and compression have no part in it.
  reply.hijack()
  if (reply.raw.headersSent) {
    request.log.warn('the reply was answered before its stream could be opened; return connect() from the handler')
    abandon(reply)
  }
  return isGone(request, reply) ? undefined : streamHeaders(reply)
}

function sendRefusal(
  manager: StreamManager,
  request: FastifyRequest,
  reply: FastifyReply,
  headers: OutgoingHttpHeaders,
  reason: StreamRejection
): void {
  const last = manager.refusal(reason)
  if (request.method === 'HEAD') answer(reply, 200, headers)
  else openSink(request.raw, reply.raw, headers).end(last, REFUSAL_GRACE)
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
  // A middleware may have set them past Fastify, on the response itself.
  for (const name of DROPPED) reply.raw.removeHeader(name)
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

/** Whether the client left while its identity was being looked up, or somebody else has begun to answer. */
function isGone(request: FastifyRequest, reply: FastifyReply): boolean {
  const { raw } = reply
  // An HTTP/2 response does not say that it is destroyed; its stream does.
  const isClosed = isHttp2(request.raw) ? request.raw.stream.closed : raw.destroyed || raw.socket?.destroyed === true
  return raw.headersSent || isClosed
}
