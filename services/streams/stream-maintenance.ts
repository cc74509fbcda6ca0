import type { Cursor } from '../events/cursor.ts'
import { heartbeatFrame } from '../events/hub-frames.ts'
import { WireBytes } from '../events/wire-bytes.ts'
import type { EventStream } from './event-stream.ts'
import { Expiries, type ExpiryInit } from './expiries.ts'
import { HeartbeatWheel } from './heartbeat-wheel.ts'
import type { StreamSettings } from './stream-settings.ts'

/** How often a stream whose history could not be read tries again, in milliseconds. */
const RETRY_READ = 1_000
/** A blocked event loop is not the client's fault: one step counts for at most so many milliseconds. */
const MAX_STEP = 1_000

export interface StreamMaintenanceParts {
  readonly options: StreamSettings
  /** The newest event that the log's tail has dispatched. */
  readonly head: () => Cursor
  /** An error of one stream; the other streams go on. */
  readonly onError: (stream: EventStream, error: unknown) => void
}

/** All that a timer does for open streams: sends heartbeats, closes stalled and expired streams, repeats failed reads. */
export class StreamMaintenance {
  readonly #parts: StreamMaintenanceParts
  readonly #wheel: HeartbeatWheel<EventStream>
  readonly #expiries: Expiries<EventStream>
  readonly #backpressured = new Set<EventStream>()
  readonly #unread = new Set<EventStream>()
  #sinceRetry = 0
  readonly #bareHeartbeat = new WireBytes(heartbeatFrame(undefined))
  #heartbeat: { head: Cursor; bytes: WireBytes } | undefined

  constructor(parts: StreamMaintenanceParts) {
    this.#parts = parts
    const { clock, heartbeatInterval: interval } = parts.options
    this.#expiries = new Expiries(clock)
    this.#wheel = new HeartbeatWheel({
      clock,
      interval,
      heartbeat: (stream) => this.#sendHeartbeat(stream),
      step: (elapsed) => this.#step(Math.min(elapsed, MAX_STEP))
    })
  }

  /** How late the timer was, at most, within the last half minute, in milliseconds. */
  get lag(): number {
    return this.#wheel.lag
  }

  add(stream: EventStream, expiry: ExpiryInit): void {
    this.#wheel.add(stream)
    this.#expiries.add(stream, expiry)
  }

  delete(stream: EventStream): void {
    this.#wheel.delete(stream)
    this.#expiries.delete(stream)
    this.#backpressured.delete(stream)
    this.#unread.delete(stream)
  }

  onBackpressure(stream: EventStream): void {
    this.#backpressured.add(stream)
  }

  /** The stream replays later, because its history could not be read. Returns how many streams wait for that. */
  retryLater(stream: EventStream): number {
    this.#unread.add(stream)
    return this.#unread.size
  }

  #sendHeartbeat(stream: EventStream): void {
    try {
      const head = this.#parts.head()
      if (this.#heartbeat?.head !== head) this.#heartbeat = { head, bytes: new WireBytes(heartbeatFrame(head)) }
      stream.heartbeat(head, this.#heartbeat.bytes, this.#bareHeartbeat)
    } catch (error) {
      this.#parts.onError(stream, error)
    }
  }

  #step(elapsed: number): void {
    this.#closeStalled(elapsed)
    this.#closeExpired(elapsed)
    this.#sinceRetry += elapsed
    if (this.#sinceRetry < RETRY_READ) return
    this.#sinceRetry = 0
    const unread = [...this.#unread]
    this.#unread.clear()
    for (const stream of unread) stream.startReplay()
  }

  #closeStalled(elapsed: number): void {
    const { stallTimeout } = this.#parts.options
    for (const stream of this.#backpressured) {
      if (!stream.isBackpressured) this.#backpressured.delete(stream)
      else if (stream.measureStall(elapsed) >= stallTimeout && stallTimeout > 0) stream.close('slow')
    }
  }

  /** A tick early, never late: an identity is valid until its expiry and not after it. */
  #closeExpired(elapsed: number): void {
    for (let stream = this.#expiries.takeDue(elapsed); stream !== undefined; stream = this.#expiries.takeDue(elapsed))
      stream.close('expired')
  }
}
