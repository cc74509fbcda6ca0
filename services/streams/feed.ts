import { setImmediate as nextTurn } from 'node:timers/promises'
import { TextDecoder } from 'node:util'
import { InvalidDraftError } from '../errors.ts'
import { type AnyDraft, prepareEvent } from '../events/draft.ts'
import { formatEvent } from '../events/wire-format.ts'
import { describe } from '../text.ts'
import type { EventStream } from './event-stream.ts'

/** A value that a producer of the host yields: text, bytes of UTF-8, or an event. */
export type Produced = string | Uint8Array | AnyDraft

type Source = AsyncIterable<Produced> | Iterable<Produced>

/** Feeds one stream: an iterable, a Readable, or a function that returns one and stops it when the signal aborts. */
export type Producer = Source | ((signal: AbortSignal) => Source)

/** Whether a value can feed a stream. A string cannot: iterating it would yield its characters. */
export function isProducer(value: unknown): value is Producer {
  if (typeof value === 'function') return true
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
}

/** Where neither producer nor client ever waits, the event loop turns after so many events. */
const EVENTS_PER_TURN = 64

/**
 * Writes the values of a producer to one stream, no faster than the client takes them, and closes the stream (`finished`) at
 * the end. If the stream closes first, `feed` returns the producer's iterator and destroys a Readable. Rejects with the
 * producer's error after closing the stream for good (`error`): a client that returned would run the producer again for ever.
 */
export async function feed(stream: EventStream, producer: Producer, maxEventBytes: number): Promise<void> {
  const { signal } = stream
  // A Readable that is created with an aborted signal emits an error that no listener handles.
  if (signal.aborted && typeof producer === 'function') return
  let source: Source | undefined
  let iterator: AsyncIterator<Produced> | Iterator<Produced> | undefined
  let isDone = false
  try {
    source = typeof producer === 'function' ? producer(signal) : producer
    iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
    const decoder = new TextDecoder()
    for (let count = 1; ; count++) {
      if (count % EVENTS_PER_TURN === 0) await nextTurn()
      const step = await nextOrAborted(iterator, signal)
      if (step === undefined) return
      isDone = step.done === true
      if (isDone) break
      const frame = frameOfProduced(step.value, decoder, maxEventBytes)
      if (frame !== undefined && !(await stream.write(frame))) return
    }
    stream.close('finished')
  } catch (error) {
    stream.close('error', false)
    throw error
  } finally {
    if (!isDone) stopProducer(source, iterator)
  }
}

/** The next result, or undefined if the stream closes first: a producer may stay silent for ever. */
function nextOrAborted(
  iterator: AsyncIterator<Produced> | Iterator<Produced>,
  signal: AbortSignal
): Promise<IteratorResult<Produced> | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve(undefined)
    const onAbort = () => resolve(undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    Promise.resolve(iterator.next())
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** The event of a value as wire text, or undefined for bytes that complete no character. */
function frameOfProduced(value: Produced, decoder: TextDecoder, maxEventBytes: number): string | undefined {
  let draft = value
  if (value instanceof Uint8Array) {
    // A character may be split over two chunks of bytes; the decoder keeps its beginning.
    draft = decoder.decode(value, { stream: true })
    if (draft === '') return undefined
  }
  if (typeof draft === 'string') draft = { data: draft }
  if (typeof draft !== 'object' || draft === null || !('data' in draft)) {
    throw new InvalidDraftError(`A producer yields strings, bytes or events ({ event?, data }); got ${describe(value)}`)
  }
  const { event, data } = prepareEvent(draft, maxEventBytes)
  return formatEvent({ event, data })
}

function stopProducer(
  source: Source | undefined,
  iterator: AsyncIterator<Produced> | Iterator<Produced> | undefined
): void {
  // A Readable's iterator returns only after its next chunk; destroying it does not wait.
  if (source !== undefined && 'destroy' in source && typeof source.destroy === 'function') source.destroy()
  // An error of the iterator no longer matters: the stream has ended.
  Promise.resolve()
    .then(() => iterator?.return?.())
    .catch(() => undefined)
}
