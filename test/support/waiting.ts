import { type EventEmitter, once } from 'node:events'

/** How long a test waits before it fails, in milliseconds. */
const PATIENCE = 10_000

/** Waits until a condition holds, and checks it after each `change`. A failure names what was received. */
export async function untilChange(
  changes: EventEmitter,
  isTrue: () => boolean,
  what: string,
  received: () => string
): Promise<void> {
  const patience = AbortSignal.timeout(PATIENCE)
  while (!isTrue()) {
    try {
      await once(changes, 'change', { signal: patience })
    } catch {
      throw new Error(`waited in vain for ${what}; received: ${received()}`)
    }
  }
}
