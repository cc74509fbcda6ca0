import type { WireBytes } from '../events/wire-bytes.ts'

/**
 * Where the bytes of a stream go: as much of a writable as the hub needs. `plugins/` makes one of a response; tests make
 * their own.
 */
export interface Sink {
  /**
   * Takes the bytes, which must not be changed afterwards: many sinks may share them.
   * Returns false when what it holds back has reached its limit; it calls `onDrain` when it has let go of it.
   */
  write(bytes: WireBytes): boolean
  /** How many bytes were taken, but not by the kernel yet. */
  unsent(): number
  /** Sends what it holds, then closes; is cut if that takes longer than `grace` milliseconds. */
  end(bytes: WireBytes, grace: number): void
  /** Listens for what happens at the other end. Called once, before anything is written. */
  listen(listener: SinkListener): void
}

export interface SinkListener {
  onDrain(): void
  /** The other end is gone, or the sink was closed. Called at most once. */
  onClose(): void
}
