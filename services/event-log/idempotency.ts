import { IdempotencyKeyReusedError } from '../errors.ts'
import type { Idempotency, NewEvent } from '../events/log-event.ts'
import { wholeNumber } from '../option-checks.ts'

/** How long an idempotency key is stored, in milliseconds: default, min, max. */
export const IDEMPOTENCY_WINDOW = [300_000, 1_000, 7 * 86_400_000] as const

/** @throws {InvalidOptionError} */
export function resolveIdempotencyWindow(window: number | undefined): number {
  const [preset, min, max] = IDEMPOTENCY_WINDOW
  return wholeNumber('idempotencyWindow', window ?? preset, min, max)
}

/**
 * Rejects a batch in which an idempotency key has another digest than the stored one, or than earlier in the batch. Call it
 * before storing any event of the batch.
 * @param digestOf returns the digest that the log has stored for a key, if any.
 * @throws {IdempotencyKeyReusedError}
 */
export function rejectOtherContent(
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
