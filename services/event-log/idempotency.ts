import { IdempotencyKeyReusedError } from '../errors.ts'
import type { Idempotency, NewEvent } from '../events/log-event.ts'
import { wholeNumber } from '../option-checks.ts'

/** How long an idempotency key is stored, in milliseconds: default, least, greatest. */
export const IDEMPOTENCY_WINDOW = [300_000, 1_000, 7 * 86_400_000] as const

/** @throws {InvalidOptionError} */
export function resolveIdempotencyWindow(window: number | undefined): number {
  const [preset, min, max] = IDEMPOTENCY_WINDOW
  return wholeNumber('idempotencyWindow', window ?? preset, min, max)
}

/**
 * Refuses a batch in which an idempotency key comes with another digest than it is known with, or than it had earlier in the
 * batch. To be called before anything of the batch is stored.
 * @param digestOf the digest that the log knows the key with, if it knows it.
 * @throws {IdempotencyKeyReusedError}
 */
export function refuseOtherContent(
  events: readonly NewEvent[],
  digestOf: (idempotency: Idempotency) => string | undefined
): void {
  let seen: Map<string, string> | undefined
  for (const { idempotency } of events) {
    if (idempotency === undefined) continue
    const { scope, key, digest } = idempotency
    const name = JSON.stringify([scope, key])
    seen ??= new Map()
    const known = seen.get(name) ?? digestOf(idempotency)
    if (known !== undefined && known !== digest) throw new IdempotencyKeyReusedError()
    seen.set(name, digest)
  }
}
