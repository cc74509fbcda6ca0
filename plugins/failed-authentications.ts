import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Clock, systemClock } from '../services/clock.ts'
import { RateLimitedError } from '../services/errors.ts'
import { networkOf } from '../services/network-address.ts'

/** Failures are counted over so long, in milliseconds. */
const WINDOW = 1_000
const STREAM_ROUTE = '/events'

export interface FailureLimitOptions {
  /** How many requests with bad credentials are taken of one address a second. */
  readonly perSecond: number
  readonly clock?: Clock | undefined
}

/**
 * Refuses further credentials of an address that has brought too many bad ones, good or bad, for the rest of the second: an
 * answer would tell which of them are good. What brings no credentials, such as a probe, is not concerned. An event source is
 * told to come back later, because it takes a 429 as the end for good.
 */
export function limitFailures(api: FastifyInstance, { perSecond, clock = systemClock }: FailureLimitOptions): void {
  const failures = new Map<string, number>()
  let windowEnd = 0
  const ofThisWindow = () => {
    const now = clock.monotonic()
    if (now >= windowEnd) {
      failures.clear()
      windowEnd = now + WINDOW
    }
    return failures
  }
  api.addHook('onRequest', (request, reply, done) => {
    if (!bringsCredentials(request) || (ofThisWindow().get(networkOf(request.ip)) ?? 0) < perSecond) return done()
    if (isStream(request)) {
      api.sse.countRefusal('rateLimited')
      api.sse.refuse(request, reply, 'limit')
      return done()
    }
    reply.header('retry-after', 1)
    done(new RateLimitedError(1))
  })
  api.addHook('onError', (request, _reply, { statusCode }, done) => {
    if (statusCode === 401 && bringsCredentials(request)) {
      const network = networkOf(request.ip)
      const counts = ofThisWindow()
      counts.set(network, (counts.get(network) ?? 0) + 1)
    }
    done()
  })
}

function bringsCredentials({ headers, query }: FastifyRequest): boolean {
  return (
    headers.authorization !== undefined ||
    headers.cookie !== undefined ||
    (query as { ticket?: unknown } | undefined)?.ticket !== undefined
  )
}

function isStream({ routeOptions, method }: FastifyRequest): boolean {
  return routeOptions.url === STREAM_ROUTE && (method === 'GET' || method === 'HEAD')
}
