import { Transform } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { TooManyBodiesError } from '../services/errors.ts'
import { hasJsonLines } from './json-lines.ts'

/** Maximum number of bytes of all bodies that are being received and processed. */
const MAX_BYTES = 67_108_864
/** Bodies up to this size are not counted: the number of connections bounds them. */
const UNCOUNTED = 16_384
const RETRY_AFTER = '1'
const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Bounds the memory of all request bodies: each counts with its length, from its first byte until its response ends. A body
 * beyond the bound is refused with 503 and `Retry-After`.
 */
export function boundBodies(app: FastifyInstance, maxBytes = MAX_BYTES): void {
  let total = 0

  /** Creates the function that counts bytes of one request; it returns false if they exceed the bound. */
  const counter = (reply: FastifyReply): ((bytes: number) => boolean) => {
    let own = 0
    return (bytes) => {
      if (total + bytes > maxBytes) return false
      // The event "close" was emitted already: bytes that are counted now would never be subtracted.
      if (isClosed(reply)) return true
      if (own === 0) reply.raw.once('close', () => (total -= own))
      own += bytes
      total += bytes
      return true
    }
  }

  const refuse = (reply: FastifyReply): Error => {
    reply.header('retry-after', RETRY_AFTER)
    return new TooManyBodiesError()
  }

  app.addHook('preParsing', (request, reply, payload, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    if (
      BODILESS.has(request.method) ||
      // Of such a body, only a line at a time is in memory.
      hasJsonLines(request) ||
      (length === undefined && encoding === undefined && request.raw.httpVersionMajor < 2)
    ) {
      done(null, payload)
      return
    }
    if (length !== undefined) {
      const bytes = Number(length)
      // A body whose length exceeds the route's limit is refused by Fastify, unread.
      const isCounted = bytes > UNCOUNTED && bytes <= request.routeOptions.bodyLimit
      if (isCounted && !counter(reply)(bytes)) done(refuse(reply))
      else done(null, payload)
      return
    }
    // Without a length, each chunk is counted on arrival.
    const count = counter(reply)
    let received = 0
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        received += chunk.length
        if (received <= UNCOUNTED || count(chunk.length)) next(null, chunk)
        else next(refuse(reply))
      }
    })
    payload.once('error', (error) => counted.destroy(error))
    payload.once('close', () => payload.readableEnded || counted.destroy(new Error('the request was aborted')))
    // Fastify compares this property with the route's limit.
    Object.defineProperty(counted, 'receivedEncodedLength', { get: () => received })
    done(null, payload.pipe(counted))
  })
}

/** Whether the client left before its body was read, for example during the authentication of the host. */
function isClosed({ raw }: FastifyReply): boolean {
  const { stream } = raw as { stream?: { readonly destroyed: boolean } }
  return raw.destroyed || raw.socket?.destroyed === true || stream?.destroyed === true
}
