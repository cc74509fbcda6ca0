import type { WireBytes } from '../events/wire-bytes.ts'

/**
 * The destination of a stream's bytes: the part of a writable stream that the hub needs. `plugins/` creates one for a
 * response; tests have their own.
 */
export interface Sink {
  /**
   * Takes the bytes, which must not change afterwards: many sinks may share them.
   * Returns false when its buffer has reached the high-water mark, and calls `onDrain` when the buffer is empty.
   */
  write(bytes: WireBytes): boolean
  /** The number of bytes that the sink has taken and the kernel has not. */
  unsent(): number
  /** Sends the buffer and these bytes, then closes. Cuts the connection if that takes longer than `grace` milliseconds. */
  end(bytes: WireBytes, grace: number): void
  /** Sets the listener. Called once, before the first write. */
  listen(listener: SinkListener): void
  /** The connection that carries the bytes, if there is one. */
  connection?(): TcpConnection | undefined
}

/** A TCP connection, as the kernel names it. */
export interface TcpConnection {
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  /** Cuts the connection. All streams on it are closed (`client`). */
  destroy(): unknown
}

export interface SinkListener {
  onDrain(): void
  /** The client has disconnected, or the sink was closed. Called at most once. */
  onClose(): void
}
