import type { Clock } from '../services/clock.ts'
import type { Logger } from '../services/logger.ts'
import { isPromiseLike } from '../services/promise-like.ts'

/** How long the host may take for an answer, in milliseconds. */
const ANSWER_TIMEOUT = 5_000
export const NO_ANSWER = Symbol('no answer')
/** Of the statuses that blame the client, those that ask for patience: timeout, too early, too many. */
const PASSING = new Set([408, 425, 429])

/**
 * What a function of the host's answers. If it does not, in time or at all, that will pass, and is no reason to send an event
 * source away for good; what it throws with a status that is final is its answer, and is thrown.
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
    const tooLate = new Promise<never>((_resolve, reject) => {
      const refusal = new Error(`no answer in ${ANSWER_TIMEOUT} ms`)
      stop = clock.every(ANSWER_TIMEOUT, () => reject(refusal))
    })
    return await Promise.race([answer, tooLate])
  } catch (error) {
    if (isFinal(error)) throw error
    logger.error({ err: error }, `${name} failed; the client is told to come back later`)
    return NO_ANSWER
  } finally {
    stop?.()
  }
}

/** Whether an error has a status that says no, and not only "not now". */
function isFinal(error: unknown): boolean {
  const { statusCode, status = statusCode } = (error ?? {}) as { statusCode?: unknown; status?: unknown }
  return typeof status === 'number' && status >= 400 && status < 500 && !PASSING.has(status)
}
