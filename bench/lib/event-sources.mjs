import { connect } from 'node:net'
import { percentiles } from './statistics.mjs'
import { now, sleep } from './time.mjs'

const MARK = 0x7e
const STAMP = 20
const READ = 262_144
// Bytes are counted and dropped: one buffer for all sockets, with one more byte for a mark that ends every search.
const shared = Buffer.alloc(READ + 1)
const target = shared.subarray(0, READ)

/** Time without a byte after which the missing events are given up, in milliseconds. */
const PATIENCE = 2_000
/** Time without a byte after which no surplus events are expected, in milliseconds. */
const QUIET = 50

/**
 * A payload of the given size as JSON. It begins with a mark, and counting marks counts events, in any split of the bytes.
 * Space for a time follows the mark.
 */
export const payloadOf = (bytes) => JSON.stringify({ data: markedText(bytes) })
export const markedText = (bytes) => `~@${'x'.repeat(Math.max(0, bytes - STAMP - 1))}`
export const stamped = (payload, time) => payload.replace('@', time.toFixed(2).padStart(STAMP, '0'))

/** Event sources on bare sockets: the events of each are counted, and not parsed. */
export class EventSources {
  received = 0
  bytes = 0
  reads = 0
  lastArrival = 0
  #streams = []
  #latencies = []
  #latencyEvery = 0

  /** Opens streams; resolves when each has received its first bytes. A slow stream reads nothing after those. */
  async open({ count, batch = 200, ...rest }) {
    const begun = now()
    for (let at = 0; at < count; at += batch) {
      const indexes = Array.from({ length: Math.min(batch, count - at) }, (_, index) => at + index)
      await Promise.all(indexes.map((index) => this.#open({ index, ...rest })))
    }
    return { seconds: (now() - begun) / 1000 }
  }

  /** Cuts all streams, and returns the last event ID of each. */
  cut() {
    const streams = this.#streams
    this.#streams = []
    for (const { socket } of streams) socket.destroy()
    return streams.map(({ lastEventId }) => lastEventId)
  }

  /** Resets the counters. Measures the latency of one in `latencyEvery` deliveries; 0 measures none. */
  reset(latencyEvery = 0) {
    this.received = 0
    this.bytes = 0
    this.reads = 0
    this.lastArrival = 0
    this.#latencies = []
    this.#latencyEvery = latencyEvery
    for (const stream of this.#streams) stream.count = 0
  }

  /** Waits until `expected` events have arrived; fails when no more arrive. */
  async arrived(expected) {
    const begun = now()
    while (this.received < expected) {
      await new Promise(setImmediate)
      if (now() - Math.max(begun, this.lastArrival) > PATIENCE) {
        throw new Error(`of ${expected} events only ${this.received} arrived`)
      }
    }
  }

  /** Waits until `expected` events have arrived and no surplus follows, or until no more arrive. */
  async settle(expected) {
    for (let quietSince = now(); ; ) {
      await sleep(QUIET / 2)
      quietSince = Math.max(quietSince, this.lastArrival)
      if (now() - quietSince > (this.received < expected ? PATIENCE : QUIET)) return
    }
  }

  /** The events that have arrived: in all, and the minimum and maximum of a stream. */
  counts() {
    const each = this.#streams.filter(({ slow }) => !slow).map(({ count }) => count)
    const { received, bytes, reads, lastArrival } = this
    const [min, max] = each.reduce(
      ([low, high], count) => [Math.min(low, count), Math.max(high, count)],
      [Number.POSITIVE_INFINITY, 0]
    )
    return { received, bytes, reads, lastArrival, min, max, latency: percentiles(this.#latencies) }
  }

  #open({ port, path, index, from = 0, slow = false, remembers = false, lastEventIds }) {
    return new Promise((resolve, reject) => {
      const stream = { socket: undefined, count: 0, slow, lastEventId: undefined }
      let isOpen = false
      const onread = {
        buffer: slow ? Buffer.alloc(1024) : target,
        callback: (length) => {
          if (!isOpen) {
            isOpen = true
            resolve()
          }
          if (slow) return false
          this.#count(stream, length)
          if (remembers) stream.lastEventId = lastEventIdIn(length) ?? stream.lastEventId
          return true
        }
      }
      // One address has some 28,000 ephemeral ports.
      const localAddress = `127.0.0.${1 + (index % 200)}`
      stream.socket = connect({ port, host: '127.0.0.1', localAddress, onread })
      stream.socket.on('error', reject)
      stream.socket.on('close', () => reject(new Error('a stream was closed before its first byte')))
      const lastEventId = lastEventIds?.[index]
      const resumption = lastEventId === undefined ? '' : `last-event-id: ${lastEventId}\r\n`
      stream.socket.write(
        `GET ${path.replace('#', String(from + index))} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n${resumption}\r\n`
      )
      this.#streams.push(stream)
    })
  }

  #count(stream, length) {
    this.reads++
    this.bytes += length
    shared[length] = MARK
    for (let at = shared.indexOf(MARK); at < length; at = shared.indexOf(MARK, at + 1)) {
      this.received++
      stream.count++
      if (this.#latencyEvery > 0 && this.received % this.#latencyEvery === 0) this.#noteLatency(at + 1, length)
    }
    this.lastArrival = now()
  }

  #noteLatency(at, length) {
    // The end of the read cuts this time; the next event is measured instead.
    if (at + STAMP > length) return
    this.#latencies.push(now() - Number(shared.latin1Slice(at, at + STAMP)))
  }
}

function lastEventIdIn(length) {
  const text = shared.latin1Slice(0, length)
  const at = text.lastIndexOf('id: ')
  return at === -1 ? undefined : text.slice(at + 4, text.indexOf('\n', at))
}
