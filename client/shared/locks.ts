interface LockOptions {
  readonly signal?: AbortSignal
  readonly steal?: boolean
}

interface LockManager {
  request(name: string, options: LockOptions, held: () => Promise<unknown> | undefined): Promise<unknown>
}

/** Web Locks, where the page has them: only in secure contexts. */
export function locksOfPage(): LockManager | undefined {
  return (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks
}

/** Holds a lock until the signal is aborted. */
export function holdLock(locks: LockManager, name: string, signal: AbortSignal): void {
  locks
    .request(name, { signal }, () => aborted(signal))
    // The signal was aborted before the lock was granted.
    .catch(() => undefined)
}

/** Calls back once a lock was released by its holder, which may have crashed. */
export function onRelease(locks: LockManager, name: string, signal: AbortSignal, released: () => void): void {
  locks
    .request(name, { signal }, () => {
      released()
      return undefined
    })
    .catch(() => undefined)
}

/**
 * Competes for the one leadership of a name until the signal is aborted. A tab that loses it to another one that steals it
 * competes again.
 */
export function leadership(
  locks: LockManager,
  name: string,
  signal: AbortSignal,
  onLead: () => void,
  onLost: () => void
): { steal(): void } {
  let waiting = new AbortController()
  const compete = async (steal: boolean): Promise<void> => {
    let leads = false
    waiting = new AbortController()
    const options = steal ? { steal } : { signal: waiting.signal }
    try {
      await locks.request(name, options, () => {
        leads = true
        if (signal.aborted) return undefined
        onLead()
        return aborted(signal)
      })
    } catch {
      // Aborted while it waited, or stolen.
    }
    if (signal.aborted || !leads) return
    onLost()
    await compete(false)
  }
  signal.addEventListener('abort', () => waiting.abort())
  void compete(false)
  return {
    steal() {
      waiting.abort()
      void compete(true)
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
