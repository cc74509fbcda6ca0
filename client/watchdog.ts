import type { Clock } from './clock.ts'

/** Intervals without a byte after which the stream counts as dead. */
const PATIENCE = 2.5
/** In milliseconds: a timer that is so late fires after the device has slept. Then as much time remains to read what has come. */
const LATE = 2_000

export interface Watchdog {
  /** Something has come. */
  seen(): void
  /** Begins to watch. `interval` is the heartbeat interval in milliseconds; 0 if there are no heartbeats. */
  start(interval?: number): void
  stop(): void
}

/** Notices that nothing comes any more. @param patience the longest silence until the heartbeat interval is known */
export function watchdog(clock: Clock, patience = 60_000, onSilence: () => void): Watchdog {
  let lastSeen = 0
  let cancel: (() => void) | undefined
  const watch = (wait: number): void => {
    const due = clock.monotonic() + wait
    cancel = clock.after(wait, () => {
      const now = clock.monotonic()
      if (now - lastSeen < patience) watch(patience - now + lastSeen)
      else if (now - due > LATE) watch(LATE)
      else onSilence()
    })
  }
  const dog: Watchdog = {
    seen() {
      lastSeen = clock.monotonic()
    },
    start(interval = patience / PATIENCE) {
      patience = interval * PATIENCE
      dog.stop()
      dog.seen()
      if (patience > 0) watch(patience)
    },
    stop: () => cancel?.()
  }
  return dog
}
