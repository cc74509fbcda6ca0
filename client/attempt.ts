import { endOfAnswer } from './answer.ts'
import type { Clock } from './clock.ts'
import { type Frame, frameReader } from './frame-reader.ts'
import { type StreamEnd, StreamError } from './stream-end.ts'
import { type Watchdog, watchdog } from './watchdog.ts'

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

export interface Attempt {
  readonly dog: Watchdog
  readonly hasEnded: boolean
  /** Ends the attempt, unless it has ended: no further frame is taken. */
  end(end: StreamEnd): void
  /** Resolves with the end; never rejects. */
  run(): Promise<StreamEnd>
}

/** One request for a stream, and the reading of its response. */
export function attempt(parts: AttemptParts): Attempt {
  const { clock, onFrame, onPause } = parts
  const controller = new AbortController()
  const { signal } = controller
  const dog = watchdog(clock, parts.silenceTimeout, () => end({ reason: 'silent' }))
  let result: StreamEnd | undefined

  const end = (why: StreamEnd): void => {
    if (result) return
    result = why
    dog.stop()
    controller.abort()
  }

  const read = async (body: NonNullable<Response['body']>): Promise<void> => {
    const take = frameReader(parts.maxFrameLength)
    const decoder = new TextDecoder()
    const reader = body.getReader()
    while (!result) {
      const { done, value } = await reader.read()
      if (done || result) return
      dog.seen()
      parts.onBytes(value.byteLength)
      for (const frame of take(decoder.decode(value, { stream: true }))) {
        const handling = onFrame(frame)
        if (handling) {
          onPause()
          // A consumer that takes its time is not a silent hub.
          dog.stop()
          await handling
          if (!result) dog.start()
        }
        if (result) return
      }
      onPause()
    }
  }

  const answer = async (): Promise<Response['body']> => {
    const response = await parts.send(signal)
    const refusal = await endOfAnswer(response, clock.now())
    if (refusal) end(refusal)
    return response.body
  }

  return {
    dog,
    end,
    get hasEnded() {
      return result !== undefined
    },
    async run() {
      dog.start()
      try {
        // Credentials may never come.
        const aborted = new Promise<undefined>((resolve) => {
          signal.onabort = () => resolve(undefined)
        })
        const body = await Promise.race([answer(), aborted])
        if (body) await read(body)
      } catch (cause) {
        end(endOfFailure(cause))
      }
      end({ reason: 'cut' })
      return result as StreamEnd
    }
  }
}

function endOfFailure(cause: unknown): StreamEnd {
  if (cause instanceof StreamError) {
    const reason = cause.code as 'auth' | 'unauthorized'
    return { reason, isFinal: reason === 'unauthorized', error: cause }
  }
  const reason = cause instanceof RangeError ? 'too-large' : 'network'
  return { reason, error: new StreamError(reason, String(cause), undefined, cause) }
}
