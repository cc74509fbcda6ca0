import type { Clock } from '../services/clock.ts'
import type { Logger } from '../services/logger.ts'
import { isPromiseLike } from '../services/promise-like.ts'

/** How long a function of the host may take, in milliseconds. */
const ANSWER_TIMEOUT = 5_000
export const NO_ANSWER = Symbol('no answer')
/** The client error statuses that allow a retry: timeout, too early, too many requests. */
const RETRYABLE = new Set([408, 425, 429])

/**
 * Calls a function of the host and resolves with its answer, or with `NO_ANSWER` if it fails or takes too long: then the
 * stream gets a retryable rejection.
 * @throws the error of the function if it has a status that is final.
 */
export async function askHost<Answer>(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  name: string,
  question: () => Answer | Promise<Answer>
): Promise<Answer | typeof NO_ANSWER> {
  let stop: (() => void) | undefined
  try {
    const answer = question()
    if (!isPromiseLike(answer)) return answer
    const timeout = new Promise<never>((_resolve, reject) => {
      const refusal = new Error(`no answer in ${ANSWER_TIMEOUT} ms`)
      stop = clock.every(ANSWER_TIMEOUT, () => reject(refusal))
    })
    return await Promise.race([answer, timeout])
  } catch (error) {
    if (isFinal(error)) throw error
    logger.error({ err: error }, `${name} failed; its stream gets a retryable rejection`)
    return NO_ANSWER
  } finally {
    stop?.()
  }
}

/** Whether an error has a client error status that allows no retry. */
function isFinal(error: unknown): boolean {
  const { statusCode, status = statusCode } = (error ?? {}) as { statusCode?: unknown; status?: unknown }
  return typeof status === 'number' && status >= 400 && status < 500 && !RETRYABLE.has(status)
}
