import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Clock, systemClock } from '../services/clock.ts'
import { RateLimitedError } from '../services/errors.ts'
import { networkOf } from '../services/network-address.ts'

/** The window over which failures are counted, in milliseconds. */
const WINDOW = 1_000
const STREAM_ROUTE = '/events'

export interface FailureLimitOptions {
  /** Maximum number of requests with invalid credentials per address and second. */
  readonly perSecond: number
  readonly clock?: Clock | undefined
}

/**
 * Refuses all credentials of an address that has sent too many invalid ones, for the rest of the second: a response would
 * show which of them are valid. Requests without credentials, such as probes, are not affected. For an event source it is a
 * retryable rejection, because a 429 would end it for good.
 */
export function limitFailures(api: FastifyInstance, { perSecond, clock = systemClock }: FailureLimitOptions): void {
  const failures = new Map<string, number>()
  let windowEnd = 0
  const currentFailures = () => {
    const now = clock.monotonic()
    if (now >= windowEnd) {
      failures.clear()
      windowEnd = now + WINDOW
    }
    return failures
  }
  api.addHook('onRequest', (request, reply, done) => {
    if (!hasCredentials(request) || (currentFailures().get(networkOf(request.ip)) ?? 0) < perSecond) return done()
    if (isStream(request)) {
      api.sse.countRefusal('rateLimited')
      api.sse.refuse(request, reply, 'limit')
      return done()
    }
    reply.header('retry-after', 1)
    done(new RateLimitedError(1))
  })
  api.addHook('onError', (request, _reply, { statusCode }, done) => {
    if (statusCode === 401 && hasCredentials(request)) {
      const network = networkOf(request.ip)
      const counts = currentFailures()
      counts.set(network, (counts.get(network) ?? 0) + 1)
    }
    done()
  })
}

function hasCredentials({ headers, query }: FastifyRequest): boolean {
  return (
    headers.authorization !== undefined ||
    headers.cookie !== undefined ||
    (query as { ticket?: unknown } | undefined)?.ticket !== undefined
  )
}

function isStream({ routeOptions, method }: FastifyRequest): boolean {
  return routeOptions.url === STREAM_ROUTE && (method === 'GET' || method === 'HEAD')
}
