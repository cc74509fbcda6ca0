import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { RateLimitedError } from '../services/errors.ts'

export interface RateLimitOptions {
  /** How many calls a second are taken of one address, and of one caller. */
  readonly perSecond: number
  /** What a caller is called, wherever he calls from; nothing for one who is not known. */
  readonly callerOf?: ((request: FastifyRequest) => string | undefined) | undefined
}

const SECOND = 1_000

/** Makes the hook that takes so many calls a second and answers more of them with 429 and `Retry-After`. */
export async function rateLimit(
  app: FastifyInstance,
  { perSecond: max, callerOf }: RateLimitOptions
): Promise<onRequestAsyncHookHandler> {
  const { default: fastifyRateLimit } = await import('@fastify/rate-limit')
  const limiters: ReturnType<FastifyInstance['createRateLimit']>[] = []
  await app.register(async (own) => {
    await own.register(fastifyRateLimit, { global: false })
    // IPv6 is counted by the /64 that one customer is given.
    limiters.push(own.createRateLimit({ max, timeWindow: SECOND }))
    if (callerOf === undefined) return
    limiters.push(
      own.createRateLimit({
        max,
        timeWindow: SECOND,
        keyGenerator: (request) => callerOf(request) ?? '',
        allowList: (_request, key) => key === ''
      })
    )
  })
  return async (request, reply) => {
    for (const limiter of limiters) {
      const counted = await limiter(request)
      if (counted.isAllowed || !counted.isExceeded) continue
      reply.header('retry-after', counted.ttlInSeconds)
      throw new RateLimitedError(counted.ttlInSeconds)
    }
  }
}
