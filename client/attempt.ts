import { endOfAnswer } from './answer.ts'
import type { Clock } from './clock.ts'
import { type Frame, FrameParser } from './frame-parser.ts'
import { type StreamEnd, StreamError } from './stream-end.ts'
import { Watchdog } from './watchdog.ts'

export interface AttemptParts {
  readonly clock: Clock
  /** The longest silence before the hub names its heartbeat interval, in milliseconds. */
  readonly silenceTimeout: number
  readonly maxFrameLength: number
  /** Sends the request. */
  readonly send: (signal: AbortSignal) => Promise<Response>
  /** Takes a frame. The next one comes after the promise, if there is one, which never rejects. */
  readonly onFrame: (frame: Frame) => Promise<unknown> | undefined
  readonly onBytes: (count: number) => void
  /** All frames that have come are handled, or the next one has to wait. */
  readonly onPause: () => void
}

/** One request for a stream, and the reading of its response. */
export class Attempt {
  readonly #parts: AttemptParts
  readonly #controller = new AbortController()
  readonly watchdog: Watchdog
  /** Set as soon as no further frame is taken. */
  result: StreamEnd | undefined

  constructor(parts: AttemptParts) {
    this.#parts = parts
    this.watchdog = new Watchdog(parts.clock, parts.silenceTimeout, () => this.end({ reason: 'silent' }))
  }

  /** Ends the attempt, unless it has ended. */
  end(end: StreamEnd): void {
    if (this.result !== undefined) return
    this.result = end
    this.watchdog.stop()
    this.#controller.abort()
  }

  /** Resolves with the end; never rejects. */
  async run(): Promise<StreamEnd> {
    const { send, clock } = this.#parts
    const { signal } = this.#controller
    try {
      const response = await Promise.race([send(signal), aborted(signal)])
      const end = await Promise.race([endOfAnswer(response, clock.now()), aborted(signal)])
      if (end === undefined) await this.#read(response.body as NonNullable<Response['body']>)
      else this.end(end)
    } catch (cause) {
      this.end(endOfFailure(cause))
    }
    // The body of an answer that is not a stream is not read.
    this.end({ reason: 'cut' })
    return this.result as StreamEnd
  }

  async #read(body: NonNullable<Response['body']>): Promise<void> {
    const { onFrame, onBytes, onPause, maxFrameLength } = this.#parts
    const parser = new FrameParser(maxFrameLength)
    const decoder = new TextDecoder()
    const reader = body.getReader()
    while (this.result === undefined) {
      const { done, value } = await reader.read()
      if (done || this.result !== undefined) return
      this.watchdog.seen()
      onBytes(value.byteLength)
      for (const frame of parser.feed(decoder.decode(value, { stream: true }))) {
        const handling = onFrame(frame)
        if (handling !== undefined) {
          onPause()
          // A consumer that takes its time is not a silent hub.
          this.watchdog.stop()
          await handling
          if (this.result === undefined) this.watchdog.restart()
        }
        if (this.result !== undefined) return
      }
      onPause()
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function endOfFailure(cause: unknown): StreamEnd {
  if (cause instanceof StreamError) {
    const isFinal = cause.code === 'unauthorized'
    return { reason: isFinal ? 'unauthorized' : 'auth', isFinal, error: cause }
  }
  const reason = cause instanceof RangeError ? 'too-large' : 'network'
  const message = cause instanceof Error ? cause.message : String(cause)
  return { reason, error: new StreamError(reason, message, { cause }) }
}
