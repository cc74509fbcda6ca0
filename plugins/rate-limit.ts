import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { RateLimitedError } from '../services/errors.ts'
import { networkOf } from '../services/network-address.ts'

export interface RateLimitOptions {
  /** How many calls a second are taken of one caller. */
  readonly perSecond: number
  /** Who calls, wherever he calls from. Who is not known is counted by his address. */
  readonly callerOf: (request: FastifyRequest) => string | undefined
}

const SECOND = 1_000

/** Makes the hook that takes so many calls a second and answers more of them with 429 and `Retry-After`. */
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
