import type { WireBytes } from '../../services/events/wire-bytes.ts'
import type { Sink, SinkListener } from '../../services/streams/sink.ts'
import { type Dispatched, StrictParser } from './strict-parser.ts'

/** A sink that keeps the written bytes, and becomes backpressured when the test wants it to. */
export class FakeSink implements Sink {
  readonly parser = new StrictParser()
  readonly writes: Buffer[] = []
  /** Number of bytes that it accepts before it is backpressured; `drain` releases the rest. */
  room = Number.POSITIVE_INFINITY
  isEnded = false
  isClosed = false
  #retained = 0
  #listener: SinkListener | undefined

  write({ plain: bytes }: WireBytes): boolean {
    this.#take(bytes)
    if (this.room >= bytes.length) this.room -= bytes.length
    else {
      this.#retained += bytes.length - this.room
      this.room = 0
    }
    return this.#retained === 0
  }

  unsent(): number {
    return this.#retained
  }

  end({ plain }: WireBytes): void {
    this.#take(plain)
    this.isEnded = true
  }

  listen(listener: SinkListener): void {
    this.#listener = listener
  }

  /** Flushes all bytes, and accepts `room` more. */
  drain(room = Number.POSITIVE_INFINITY): void {
    this.#retained = 0
    this.room = room
    this.#listener?.onDrain()
  }

  /** Flushes some bytes, but not all. */
  release(bytes: number): void {
    this.#retained -= bytes
  }

  /** The client disconnects. */
  disconnect(): void {
    this.isClosed = true
    this.#listener?.onClose()
  }

  /** All dispatched events. */
  get events(): Dispatched[] {
    return this.parser.events
  }

  /** Events of publishers: all but the hub's own events. */
  get published(): Dispatched[] {
    return this.events.filter(({ event }) => !event.startsWith('hub.'))
  }

  #take(bytes: Uint8Array): void {
    if (this.isEnded) throw new Error('written to after its end')
    this.writes.push(Buffer.from(bytes))
    this.parser.feed(bytes)
  }
}

/** Runs the work that is due in this turn of the event loop, and in the next ones. */
export async function settle(turns = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}
