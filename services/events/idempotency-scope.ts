import { hash } from 'node:crypto'
import { InvalidDraftError } from '../errors.ts'
import { describe, isBoundedText } from '../text.ts'
import type { Channel } from './channel.ts'
import type { PreparedEvent } from './draft.ts'
import type { Idempotency } from './log-event.ts'

/** 22 letters of base64 are 132 bits: no chance collisions, and a publisher could deceive only itself. */
const LENGTH = 22
const MAX_PUBLISHER_BYTES = 1_024

/**
 * The values by which the log appends an event once. The publisher is the scope, and a key is unique per target of the
 * publisher. All three are hashes, so that the stored values have one size and reveal nothing.
 * @throws {InvalidDraftError} when the publisher's name is invalid.
 */
export function idempotencyOf(
  { event, data, ttl, collapseKey, idempotencyKey, transient, final, inbox }: PreparedEvent,
  channels: readonly Channel[],
  publisher = '',
  except?: readonly string[] | undefined
): Idempotency | undefined {
  if (publisher !== '' && !isBoundedText(publisher, MAX_PUBLISHER_BYTES)) {
    throw new InvalidDraftError(
      `publisher is 1 to ${MAX_PUBLISHER_BYTES} bytes of text without control characters; got ${describe(publisher)}`
    )
  }
  if (idempotencyKey === undefined) return undefined
  return {
    scope: scopeOf(publisher),
    key: short([idempotencyKey, ...[...channels].sort()]),
    digest: short([
      event,
      data,
      ttl,
      collapseKey,
      transient,
      final,
      ...(inbox ? ['inbox'] : []),
      ...(except === undefined ? [] : [[...except].sort()])
    ])
  }
}

/** The last publisher and its scope: the next event is usually of the same publisher. */
let known = { publisher: '', scope: short(['']) }

function scopeOf(publisher: string): string {
  if (publisher !== known.publisher) known = { publisher, scope: short([publisher]) }
  return known.scope
}

function short(parts: readonly unknown[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, LENGTH)
}
