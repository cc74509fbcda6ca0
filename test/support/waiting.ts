import { type EventEmitter, once } from 'node:events'

/** How long a test waits for something that does not happen, in milliseconds. */
const PATIENCE = 10_000

/** Waits until something holds, and looks again at each `change`. What was received until then is named if it never does. */
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
