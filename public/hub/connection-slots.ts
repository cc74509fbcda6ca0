/** Connections of a browser to one host over HTTP/1.1, over all tabs. */
export const MAX_CONNECTIONS = 6
/** Connections that streams of all tabs may use. The rest is for requests, which would wait without an error. */
export const STREAM_SLOTS = 4

// HTTP/2 carries all streams over one connection. Browsers speak it only over TLS.
const [navigation] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[]
export const httpVersion = navigation?.nextHopProtocol || (location.protocol === 'http:' ? 'http/1.1' : '')
export const isLimited = httpVersion.startsWith('http/1')

/** How often a stream that waits looks for a connection, in milliseconds. */
const RETRY = 500

export interface Slot {
  release(): void
}

/**
 * Reserves a connection for a stream, and waits for one while the streams of all tabs use theirs. Tabs share the slots by Web
 * Locks, which end with the tab. Without Web Locks (plain HTTP to another machine) each tab counts its own.
 */
export async function takeSlot(signal: AbortSignal, onWaiting: () => void): Promise<Slot> {
  if (!isLimited) return { release: () => {} }
  const take = 'locks' in navigator ? takeLock : takeOwn
  for (let attempt = 0; ; attempt++) {
    const slot = await take()
    if (slot !== undefined && !signal.aborted) return slot
    slot?.release()
    signal.throwIfAborted()
    if (attempt === 0) onWaiting()
    await new Promise((resolve) => setTimeout(resolve, RETRY))
    signal.throwIfAborted()
  }
}

async function takeLock(): Promise<Slot | undefined> {
  for (let number = 0; number < STREAM_SLOTS; number++) {
    const slot = await tryLock(`sse-hub.console.stream.${number}`)
    if (slot !== undefined) return slot
  }
  return undefined
}

function tryLock(name: string): Promise<Slot | undefined> {
  return new Promise((resolve) => {
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (lock === null) return resolve(undefined)
      return new Promise<void>((release) => resolve({ release }))
    })
  })
}

let own = 0

async function takeOwn(): Promise<Slot | undefined> {
  if (own >= STREAM_SLOTS) return undefined
  own++
  let isHeld = true
  return {
    release: () => {
      if (isHeld) own--
      isHeld = false
    }
  }
}
