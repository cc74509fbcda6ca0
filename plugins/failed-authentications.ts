import type { FastifyInstance, FastifyRequest } from 'fastify'
import { CallWindow } from '../services/call-window.ts'
import { type Clock, systemClock } from '../services/clock.ts'
import { RateLimitedError } from '../services/errors.ts'
import { networkOf } from '../services/network-address.ts'
import type { SharedCounts } from '../services/shared-counts.ts'

const STREAM_ROUTE = '/events'

export interface FailureLimitOptions {
  /** Maximum number of requests with invalid credentials per address and second. */
  readonly perSecond: number
  readonly clock?: Clock | undefined
  /** Counts that other processes share: the limit holds over all of them. */
  readonly counts?: SharedCounts | undefined
}

/**
 * Refuses all credentials of an address that has sent too many invalid ones, for the rest of the second: a response would
 * show which of them are valid. Requests without credentials, such as probes, are not affected. For an event source it is a
 * retryable rejection, because a 429 would end it for good.
 */
export function limitFailures(api: FastifyInstance, options: FailureLimitOptions): void {
  const { perSecond, clock = systemClock, counts } = options
  const failures = new CallWindow({ clock, counts, prefix: 'failures of ' })
  api.addHook('onRequest', (request, reply, done) => {
    if (!hasCredentials(request) || failures.count(networkOf(request.ip)) < perSecond) return done()
    if (isStream(request)) {
      api.sse.countRefusal('rateLimited')
      api.sse.refuse(request, reply, 'limit')
      return done()
    }
    reply.header('retry-after', 1)
    done(new RateLimitedError(1))
  })
  api.addHook('onError', (request, _reply, { statusCode }, done) => {
    if (statusCode === 401 && hasCredentials(request)) failures.add(networkOf(request.ip))
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
