import { endOfAnswer } from './answer.ts'
import type { Clock } from './clock.ts'
import { type Frame, frameReader } from './frame-reader.ts'
import type { StreamOptions } from './options.ts'
import { type EndReason, type StreamEnd, StreamError } from './stream-end.ts'
import { type Watchdog, watchdog } from './watchdog.ts'

export interface AttemptParts {
  readonly clock: Clock
  readonly options: StreamOptions
  readonly counters: { bytes: number }
  /** Sends the request. */
  send(signal: AbortSignal): Promise<Response>
  /** Takes a frame. The next one comes after the promise, if there is one, which never rejects. */
  onFrame(frame: Frame): Promise<unknown> | undefined
  /** All frames that have come are handled, or the next one has to wait. */
  onPause(): void
}

export interface Attempt {
  readonly dog: Watchdog
  /** Ends the attempt, unless it has ended: no further frame is taken. */
  end(end: StreamEnd): void
  /** Resolves with the end; never rejects. */
  run(): Promise<StreamEnd>
}

/** The failures after which no attempt can succeed. */
const FINAL = /^un(authorized|supported)$/

/** One request for a stream, and the reading of its response. */
export function attempt(parts: AttemptParts): Attempt {
  const { clock, options } = parts
  const controller = new AbortController()
  const { signal } = controller
  const dog = watchdog(clock, options.silenceTimeout, () => end({ reason: 'silent' }))
  let result: StreamEnd | undefined

  const end = (why: StreamEnd): void => {
    result ??= why
    dog.stop()
    controller.abort()
  }

  const read = async (): Promise<StreamEnd> => {
    // Credentials may never come.
    const aborted = new Promise<never>((_, reject) => {
      signal.onabort = reject
    })
    const response = await Promise.race([parts.send(signal), aborted])
    const refusal = await endOfAnswer(response, clock.now())
    if (refusal) return refusal
    const take = frameReader(options.maxFrameLength)
    const decoder = new TextDecoder()
    const reader = (response.body as NonNullable<Response['body']>).getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done || result) return { reason: 'cut' }
      dog.seen()
      parts.counters.bytes += value.length
      for (const frame of take(decoder.decode(value, { stream: true }))) {
        const handling = parts.onFrame(frame)
        if (handling) {
          parts.onPause()
          // A consumer that takes its time is not a silent hub.
          dog.stop()
          await handling
          dog.start()
        }
        if (result) return result
      }
      parts.onPause()
    }
  }

  return {
    dog,
    end,
    async run() {
      dog.start()
      end(await read().catch(endOfFailure))
      return result as StreamEnd
    }
  }
}

function endOfFailure(cause: unknown): StreamEnd {
  const code = cause instanceof RangeError ? 'too-large' : 'network'
  const error = cause instanceof StreamError ? cause : new StreamError(code, cause)
  const reason = error.code as EndReason
  return { reason, isFinal: FINAL.test(reason), error }
}
