import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { RateLimitedError } from '../services/errors.ts'
import { networkOf } from '../services/network-address.ts'

export interface RateLimitOptions {
  /** Maximum number of calls of one caller per second. */
  readonly perSecond: number
  /** The name of the caller. Without one, calls are counted by address. */
  readonly callerOf: (request: FastifyRequest) => string | undefined
}

const SECOND = 1_000

/** Creates the hook that rejects calls above the rate with 429 and `Retry-After`. */
export async function rateLimit(
  app: FastifyInstance,
  { perSecond: max, callerOf }: RateLimitOptions
): Promise<onRequestAsyncHookHandler> {
  const { default: fastifyRateLimit } = await import('@fastify/rate-limit')
  let count: ReturnType<FastifyInstance['createRateLimit']> | undefined
  await app.register(async (own) => {
    await own.register(fastifyRateLimit, { global: false })
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
