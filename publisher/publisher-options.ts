/** Durations are in milliseconds, sizes in bytes. */
export interface PublisherOptions {
  /** The address of the hub, such as `https://hub.example.com` or `http://127.0.0.1:3000/hub`. */
  readonly url: string | URL
  /**
   * An API key, or a token of a publisher.
   * @default none: the hub is open
   */
  readonly key?: string | undefined
  /**
   * How many events may wait. A call beyond it is rejected with `QUEUE_FULL`; `room()` resolves when there is room.
   * @default 10_000
   */
  readonly maxQueued?: number | undefined
  /**
   * The size of the events that may wait.
   * @default 16_777_216
   */
  readonly maxQueuedBytes?: number | undefined
  /**
   * The maximum number of events of one request. The hub takes at most 1,000 unless it is configured otherwise.
   * @default 500
   */
  readonly maxBatch?: number | undefined
  /**
   * How long an event is tried again while the hub cannot take it. It is at most four minutes, because the hub remembers
   * idempotency keys for five.
   * @default 60_000
   */
  readonly retryFor?: number | undefined
  /**
   * How long a request may take.
   * @default 10_000
   */
  readonly timeout?: number | undefined
  /** @default globalThis.fetch, which keeps connections alive */
  readonly fetch?: typeof fetch | undefined
  /**
   * A number from 0 up to but not including 1, for the jitter of retries.
   * @default Math.random
   */
  readonly random?: (() => number) | undefined
}

export interface ResolvedPublisherOptions {
  readonly url: string
  readonly key: string | undefined
  readonly maxQueued: number
  readonly maxQueuedBytes: number
  readonly maxBatch: number
  readonly retryFor: number
  readonly timeout: number
  readonly fetch: typeof fetch
  readonly random: () => number
}

/** Name, default, minimum and maximum of each option that is a whole number. */
const NUMBERS = {
  maxQueued: [10_000, 1, 10_000_000],
  maxQueuedBytes: [16_777_216, 1, 2 ** 40],
  maxBatch: [500, 1, 100_000],
  retryFor: [60_000, 0, 240_000],
  timeout: [10_000, 1, 240_000]
} as const

const OTHERS = ['url', 'key', 'fetch', 'random']

/** @throws {TypeError} naming the option, and the values that it takes. */
export function resolvePublisherOptions(options: PublisherOptions): ResolvedPublisherOptions {
  const unknown = Object.keys(options).find((name) => !(name in NUMBERS) && !OTHERS.includes(name))
  if (unknown !== undefined) throw new TypeError(`publisher: there is no option ${unknown}`)
  const { url, key, fetch = globalThis.fetch, random = Math.random } = options
  if (!URL.canParse(String(url)) || !/^https?:/.test(String(url)))
    throw new TypeError('publisher: url is an http:// or https:// URL')
  if (key !== undefined && (typeof key !== 'string' || !/^[\w.~+/=-]+$/.test(key)))
    throw new TypeError('publisher: key is an API key or a token')
  const text = String(url)
  return { url: text.endsWith('/') ? text.slice(0, -1) : text, key, fetch, random, ...numbersOf(options) }
}

function numbersOf(options: PublisherOptions): Record<keyof typeof NUMBERS, number> {
  const entries = Object.entries(NUMBERS).map(([name, [otherwise, min, max]]) => {
    const value = options[name as keyof typeof NUMBERS] ?? otherwise
    if (!Number.isSafeInteger(value) || value < min || value > max)
      throw new TypeError(`publisher: ${name} is a whole number from ${min} to ${max}`)
    return [name, value]
  })
  return Object.fromEntries(entries) as Record<keyof typeof NUMBERS, number>
}
