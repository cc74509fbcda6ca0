import type { Clock } from '../../client/clock.ts'
import type { FakeClock } from './fake-clock.ts'

/** A request of the client under test, and its answer. */
export class Exchange {
  readonly url: URL
  readonly method: string
  readonly headers: Headers
  readonly body: unknown
  readonly #signal: AbortSignal | null | undefined
  readonly #answer: (response: Response) => void
  readonly #refuse: (error: unknown) => void
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  isAborted = false

  constructor(url: string, init: RequestInit, answer: (response: Response) => void, refuse: (error: unknown) => void) {
    this.url = new URL(url)
    this.method = init.method ?? 'GET'
    this.headers = new Headers(init.headers)
    this.body = typeof init.body === 'string' ? JSON.parse(init.body) : undefined
    this.#signal = init.signal
    this.#answer = answer
    this.#refuse = refuse
    const onAbort = () => {
      this.isAborted = true
      refuse(new DOMException('aborted', 'AbortError'))
      this.#controller?.error(new DOMException('aborted', 'AbortError'))
    }
    if (this.#signal?.aborted) onAbort()
    else this.#signal?.addEventListener('abort', onAbort)
  }

  get lastEventId(): string | null {
    return this.headers.get('last-event-id')
  }

  /** Answers with a stream, which begins with the text. */
  async open(text = '', headers: Record<string, string> = {}): Promise<void> {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller
      }
    })
    this.#answer(new Response(body, { headers: { 'content-type': 'text/event-stream', ...headers } }))
    await this.write(text)
  }

  async write(text: string): Promise<void> {
    if (text !== '') this.#controller?.enqueue(new TextEncoder().encode(text))
    await settled()
  }

  async end(text = ''): Promise<void> {
    await this.write(text)
    this.#controller?.close()
    await settled()
  }

  /** Breaks the connection, before or within the response. */
  async break(): Promise<void> {
    this.#refuse(new TypeError('fetch failed'))
    this.#controller?.error(new TypeError('terminated'))
    await settled()
  }

  async refuse(status: number, body: unknown = undefined, headers: Record<string, string> = {}): Promise<void> {
    const text = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body)
    const type: Record<string, string> = typeof body === 'object' ? { 'content-type': 'application/json' } : {}
    this.#answer(new Response(text, { status, headers: { ...type, ...headers } }))
    await settled()
  }
}

/** The network of a client under test: the test answers every request. */
export class FakeFetch {
  readonly exchanges: Exchange[] = []

  readonly fetch = ((url: string, init: RequestInit = {}) =>
    new Promise<Response>((resolve, reject) => {
      this.exchanges.push(new Exchange(url, init, resolve, reject))
    })) as typeof fetch

  get last(): Exchange {
    const last = this.exchanges.at(-1)
    if (last === undefined) throw new Error('there was no request')
    return last
  }
}

/** Resolves once no promise of the client is pending that can go on by itself. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** The clock of a client, on a clock that the test advances. */
export function clientClock(clock: FakeClock): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after(milliseconds, then) {
      const stop = clock.every(milliseconds, () => {
        stop()
        then()
      })
      return stop
    }
  }
}
