import type { ServerResponse } from 'node:http'
import { constants, type Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Refusal } from '../../services/hub/refusals.ts'
import { isHttp2, type RawResponse } from '../response-sink.ts'

/** What an answer weighs beside its bytes, about. */
const RESPONSE_BYTES = 1_024
/** One connection may take a quarter of all. */
const SHARE = 1 / 4

/** Where answers leave one after the other: an HTTP/1 connection, or an HTTP/2 stream. */
type Outlet = Socket | ServerHttp2Stream

interface Backlog {
  readonly responses: Set<RawResponse>
  readonly cut: () => void
  bytes: number
}

export interface UnreadOptions {
  readonly maxBytes: number
  readonly stallTimeout: number
  readonly onCut: (reason: Refusal) => void
}

/**
 * The answers that have been written and not left yet, because their clients do not read. Bounded in bytes and in time. An
 * answer that the kernel takes at once, as it does nearly always, is never listed.
 */
export class UnreadResponses {
  readonly #options: UnreadOptions
  /** The outlet that has waited longest is the first. */
  readonly #backlogs = new Map<Outlet, Backlog>()
  readonly #watched = new WeakSet<Outlet>()
  /** Of all answers that are listed, as of when each was last looked at. */
  #bytes = 0

  constructor(options: UnreadOptions) {
    this.#options = options
  }

  /** Lists an answer that was written to its end. */
  add(response: RawResponse): void {
    if (response.writableLength === 0) return
    const outlet = outletOf(response)
    if (outlet === undefined) return
    const backlog = this.#backlogs.get(outlet) ?? this.#begin(outlet, response)
    if (backlog.responses.has(response)) return
    backlog.responses.add(response)
    this.#weigh(backlog, backlog.bytes + response.writableLength + RESPONSE_BYTES)
    response.once('finish', () => this.#remove(outlet, response))
    const { maxBytes } = this.#options
    if (backlog.bytes > maxBytes * SHARE) this.#cut(outlet, backlog, 'unread')
    if (this.#bytes > maxBytes) this.#makeRoom()
  }

  /** Cuts the outlets that have waited longest, and more than need be, so that the next answer need not look again. */
  #makeRoom(): void {
    for (const backlog of this.#backlogs.values()) this.#weigh(backlog, unreadOf(backlog))
    for (const [outlet, backlog] of this.#backlogs) {
      if (this.#bytes <= this.#options.maxBytes * (1 - SHARE)) return
      this.#cut(outlet, backlog, 'unread')
    }
  }

  #begin(outlet: Outlet, response: RawResponse): Backlog {
    const { stallTimeout } = this.#options
    const backlog = { responses: new Set<RawResponse>(), cut: cutterOf(response), bytes: 0 }
    this.#backlogs.set(outlet, backlog)
    // Node's timeout sees that part of a write has left; the length of what is unsent changes with whole writes only.
    if (stallTimeout > 0) outlet.setTimeout(stallTimeout)
    if (!this.#watched.has(outlet)) {
      this.#watched.add(outlet)
      outlet.once('close', () => this.#forget(outlet))
      outlet.on('timeout', () => {
        const stalled = this.#backlogs.get(outlet)
        // Otherwise it is a connection that has been idle.
        if (stalled !== undefined) this.#cut(outlet, stalled, 'stalled')
      })
    }
    return backlog
  }

  #remove(outlet: Outlet, response: RawResponse): void {
    const backlog = this.#backlogs.get(outlet)
    if (backlog === undefined || !backlog.responses.delete(response)) return
    if (backlog.responses.size === 0) this.#forget(outlet)
  }

  #cut(outlet: Outlet, backlog: Backlog, reason: Refusal): void {
    this.#forget(outlet)
    backlog.cut()
    this.#options.onCut(reason)
  }

  #forget(outlet: Outlet): void {
    const backlog = this.#backlogs.get(outlet)
    if (backlog === undefined) return
    this.#backlogs.delete(outlet)
    this.#bytes -= backlog.bytes
  }

  #weigh(backlog: Backlog, bytes: number): void {
    this.#bytes += bytes - backlog.bytes
    backlog.bytes = bytes
  }
}

function unreadOf({ responses }: Backlog): number {
  let bytes = 0
  for (const { writableLength } of responses) bytes += writableLength + RESPONSE_BYTES
  return bytes
}

/** Undefined where the client has left already. */
function outletOf(response: RawResponse): Outlet | undefined {
  const outlet = isHttp2(response.req) ? (response as Http2ServerResponse).stream : response.req.socket
  return outlet === undefined || outlet === null || outlet.destroyed ? undefined : outlet
}

/** Only the stream of an HTTP/2 client: its session may have event streams that it does read. */
function cutterOf(response: RawResponse): () => void {
  if (!isHttp2(response.req)) {
    const { socket } = (response as ServerResponse).req
    return () => socket.destroy()
  }
  const { stream } = response as Http2ServerResponse
  return () => {
    stream.close(constants.NGHTTP2_CANCEL)
    stream.destroy()
  }
}
