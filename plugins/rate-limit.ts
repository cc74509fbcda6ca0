import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { CallWindow } from '../services/call-window.ts'
import { systemClock } from '../services/clock.ts'
import { RateLimitedError } from '../services/errors.ts'
import { networkOf } from '../services/network-address.ts'
import type { SharedCounts } from '../services/shared-counts.ts'

export interface RateLimitOptions {
  /** Maximum number of calls of one caller per second. */
  readonly perSecond: number
  /** The name of the caller. Without one, calls are counted by address. */
  readonly callerOf: (request: FastifyRequest) => string | undefined
  /** Counts that other processes share: the limit holds over all of them. */
  readonly counts?: SharedCounts | undefined
}

const SECOND = 1_000

/** Creates the hook that rejects calls above the rate with 429 and `Retry-After`. */
export async function rateLimit(
  app: FastifyInstance,
  { perSecond: max, callerOf, counts }: RateLimitOptions
): Promise<onRequestAsyncHookHandler> {
  const { default: fastifyRateLimit } = await import('@fastify/rate-limit')
  let count: ReturnType<FastifyInstance['createRateLimit']> | undefined
  await app.register(async (own) => {
    await own.register(fastifyRateLimit, { global: false, ...(counts && { store: sharedStore(counts) }) })
    count = own.createRateLimit({
      max,
      timeWindow: SECOND,
      keyGenerator: (request) => {
        const caller = callerOf(request)
        return caller === undefined ? networkOf(request.ip) : `caller ${caller}`
      }
    })
  })
  return async (request, reply) => {
    const counted = await count?.(request)
    if (counted === undefined || counted.isAllowed || !counted.isExceeded) return
    reply.header('retry-after', counted.ttlInSeconds)
    throw new RateLimitedError(counted.ttlInSeconds)
  }
}

/** A store of `@fastify/rate-limit`. */
function sharedStore(counts: SharedCounts) {
  const window = new CallWindow({ clock: systemClock, counts, prefix: 'calls of ' })
  return class SharedStore {
    incr(key: string, done: (error: Error | null, result: { current: number; ttl: number }) => void): void {
      done(null, { current: window.add(key), ttl: window.rest })
    }

    child(): SharedStore {
      return this
    }
  }
}
