import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { StreamEntry } from '../services/cluster/cluster.ts'
import { NotAcceptableError, PipelinedError, ReplySentError } from '../services/errors.ts'
import { isEnded } from '../services/events/cursor.ts'
import { networkOf } from '../services/network-address.ts'
import type { StreamRejection } from '../services/streams/admission.ts'
import type { EventStream } from '../services/streams/event-stream.ts'
import type { Sink } from '../services/streams/sink.ts'
import type { StreamManager } from '../services/streams/stream-manager.ts'
import type { StreamRequest } from '../services/streams/stream-request.ts'
import { acceptsEventStream } from './accept.ts'
import { isHttp2, openSink } from './response-sink.ts'

/** How long the few bytes of a retryable rejection may take to leave, in milliseconds. */
const REJECTION_GRACE = 2_000
/** A proxy may report any text as an address; only its beginning is kept. */
const MAX_ADDRESS = 64

/** Headers of other plugins that do not apply to a stream, which has no known length and no encoding. */
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
  // No cache may store it, and no proxy may delay parts of it to compress them.
  'cache-control': 'no-store, no-transform',
  // nginx buffers a response unless this header forbids it.
  'x-accel-buffering': 'no'
}

/**
 * Rejects, before anything else happens, a request that cannot become a stream: its status is final for an event source.
 * @throws {ReplySentError | NotAcceptableError | PipelinedError}
 */
export function checkRequest(request: FastifyRequest, reply: FastifyReply): void {
  claim(reply)
  if (!acceptsEventStream(request.headers.accept)) throw new NotAcceptableError()
  // A request that is pipelined behind an open stream has no socket for its response, and would wait for ever.
  if (request.raw.httpVersionMajor === 1 && reply.raw.socket === null && !reply.raw.headersSent) {
    request.raw.socket.destroy()
    throw new PipelinedError()
  }
}

/** Marks a reply that a stream is opened on. */
const CLAIMED = Symbol('sse hub stream')

/** @throws {ReplySentError} when another response was sent, or another stream was opened, on the reply. */
function claim(reply: FastifyReply & { [CLAIMED]?: true }): void {
  const { raw } = reply
  if (!raw.headersSent && reply[CLAIMED] === undefined) {
    reply[CLAIMED] = true
    return
  }
  if (raw.headersSent && reply[CLAIMED] === undefined) abandon(reply)
  throw new ReplySentError()
}

/** Cuts a response that was begun without Fastify and never ended: the client, and `app.close()`, would wait for ever. */
function abandon(reply: FastifyReply): void {
  // Fastify would try to send another head.
  if (!reply.sent) reply.hijack()
  if (!reply.raw.writableEnded && reply.raw.listenerCount('unpipe') === 0) reply.raw.destroy()
}

/**
 * Opens an event stream on the reply of an identified caller. Throws while an ordinary error can still be sent; afterwards
 * the hub owns the reply. Returns undefined for `HEAD`, for a client that was closed for good (204), and for a retryable
 * rejection. Returns a promise only if other nodes must confirm the limit of the user, or if the log does not pass the events of
 * the stream to this node yet.
 */
export function openEventStream(
  manager: StreamManager,
  request: FastifyRequest,
  reply: FastifyReply,
  opening: StreamRequest
): EventStream | undefined | Promise<EventStream | undefined> {
  const { admission } = manager
  admission.check(opening)
  const clientId = lastEventIdOf(request)
  const lastEventId = opening.lastEventId ?? clientId
  const headers = takeOver(request, reply)
  if (headers === undefined) return undefined
  // A client that was closed for good and reconnects by itself is answered 204, even if the host names a cursor.
  if ([clientId, lastEventId].some((id) => id !== undefined && isEnded(id))) {
    answer(reply, 204, withoutStream(headers))
    return undefined
  }
  if (request.method === 'HEAD') {
    answer(reply, 200, headers)
    return undefined
  }
  // Only where needed: reading the address is a system call, and its result stays in memory with the socket.
  const address = admission.limitsAddresses ? networkOf(request.ip) : ''
  const refusal = admission.isTooFast(opening.user, address) ? 'limit' : admission.admit(opening.user, address)
  if (refusal !== undefined) {
    manager.rejected[refusal]++
    sendRefusal(manager, request, reply, headers, refusal)
    return undefined
  }
  // Only behind trusted proxies: without them the connection itself has the address.
  const forwardedFor = request.ips === undefined ? '' : request.ip.slice(0, MAX_ADDRESS)
  const admitted = { ...opening, lastEventId, address, forwardedFor }
  const reserving = admission.reserve(admitted)
  const preparing = manager.prepare(admitted)
  if (reserving !== undefined || preparing !== undefined)
    return openPrepared(manager, request, reply, headers, admitted, reserving, preparing)
  return open(manager, request, reply, headers, admitted)
}

/** Opens a prepared stream, which ends the interest in its events itself. */
function open(
  manager: StreamManager,
  request: FastifyRequest,
  reply: FastifyReply,
  headers: OutgoingHttpHeaders,
  opening: StreamRequest
): EventStream {
  let sink: Sink
  try {
    sink = openSink(request.raw, reply.raw, headers)
  } catch (error) {
    manager.forgo(opening)
    throw error
  }
  return manager.open(sink, opening, true)
}

/** Opens a stream once the other nodes have confirmed the limit of the user, and the events of the stream come here. */
async function openPrepared(
  manager: StreamManager,
  request: FastifyRequest,
  reply: FastifyReply,
  headers: OutgoingHttpHeaders,
  opening: StreamRequest,
  reserving: Promise<StreamEntry | undefined> | undefined,
  preparing: Promise<void> | undefined
): Promise<EventStream | undefined> {
  let reserved: StreamEntry | undefined
  let stream: EventStream | undefined
  let isPrepared = true
  try {
    reserved = await reserving
    await preparing
    // The client may have left meanwhile.
    if (isGone(request, reply)) return undefined
    const isFull = reserving !== undefined && reserved === undefined
    const refusal = isFull ? 'limit' : manager.admission.admit(opening.user, opening.address ?? '')
    if (refusal !== undefined) {
      manager.rejected[refusal]++
      sendRefusal(manager, request, reply, headers, refusal)
      return undefined
    }
    isPrepared = false
    stream = open(manager, request, reply, headers, { ...opening, id: reserved?.id })
  } finally {
    if (isPrepared) manager.forgo(opening)
    if (stream === undefined && reserved !== undefined) manager.admission.release(reserved)
  }
  return stream
}

/** Sends a retryable rejection, with status 200: every other status ends an event source for good. */
export function refuse(
  manager: StreamManager,
  request: FastifyRequest,
  reply: FastifyReply,
  reason: StreamRejection
): void {
  const headers = takeOver(request, reply)
  if (headers !== undefined) sendRefusal(manager, request, reply, headers, reason)
}

/** Takes the reply over from Fastify. Returns the headers of the stream, or undefined if the reply was answered or closed. */
function takeOver(request: FastifyRequest, reply: FastifyReply): OutgoingHttpHeaders | undefined {
  // Afterwards the host's `handlerTimeout`, `onSend` and compression no longer apply.
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
  else openSink(request.raw, reply.raw, headers).end(last, REJECTION_GRACE)
}

/** The header wins over the query: an event source sends it when it reconnects to the URL that it was opened with. */
function lastEventIdOf(request: FastifyRequest): string | undefined {
  const header = request.headers['last-event-id']
  if (typeof header === 'string' && header !== '') return header
  const query = (request.query ?? {}) as Record<string, unknown>
  // The spellings of polyfills, which cannot set the header.
  return [query.lastEventId, query.last_event_id, query['Last-Event-ID']].find(
    (value): value is string => typeof value === 'string' && value !== ''
  )
}

/** The headers that other plugins have set, such as CORS and cookies, and those of a stream. */
function streamHeaders(reply: FastifyReply): OutgoingHttpHeaders {
  // A middleware may have set them on the raw response.
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

/** Whether the client has left, or other code has begun to answer. */
function isGone(request: FastifyRequest, reply: FastifyReply): boolean {
  const { raw } = reply
  // An HTTP/2 response does not report that it is destroyed; its stream does.
  const isClosed = isHttp2(request.raw) ? request.raw.stream.closed : raw.destroyed || raw.socket?.destroyed === true
  return raw.headersSent || isClosed
}
