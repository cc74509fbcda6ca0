import { createRequire } from 'node:module'
import { createParser } from 'eventsource-parser'
import { frameReader } from '../../client/frame-reader.ts'
import { StrictParser } from '../support/strict-parser.ts'

/** The events and settings that a client reads from a stream. */
export interface Reading {
  readonly events: readonly Received[]
  /** The id with which the client would reconnect. */
  readonly lastEventId: string
  readonly reconnectionTime: number | undefined
}

export interface Received {
  readonly event: string
  readonly data: string
  /** The last event ID when the event was dispatched. */
  readonly lastEventId: string
}

export interface Client {
  readonly name: string
  read(chunks: Iterable<Uint8Array>): Reading
}

/** The part of undici's parser that is used here. It is not in undici's public API, but its client runs it. */
interface UndiciStream {
  _transform(chunk: Buffer, encoding: string, callback: (error?: Error) => void): void
}
interface UndiciState {
  lastEventId?: string
  reconnectionTime?: number
}
interface UndiciEvent {
  readonly type: string
  readonly options: { readonly data: string; readonly lastEventId?: string }
}
const require = createRequire(import.meta.url)
const { EventSourceStream } = require('undici/lib/web/eventsource/eventsource-stream.js') as {
  EventSourceStream: new (options: {
    eventSourceSettings: UndiciState
    push: (event: UndiciEvent) => boolean
  }) => UndiciStream
}

/** The judge: implements the standard literally. */
export const strict: Client = {
  name: 'the standard',
  read(chunks) {
    const parser = new StrictParser()
    for (const chunk of chunks) parser.feed(chunk)
    const events = parser.events.map(({ event, data, lastEventId }) => ({ event, data, lastEventId }))
    return { events, lastEventId: parser.lastEventId, reconnectionTime: parser.reconnectionTime }
  }
}

export const undici: Client = {
  name: 'undici',
  read(chunks) {
    const events: Received[] = []
    const state: UndiciState = {}
    const push = ({ type, options }: UndiciEvent) => {
      events.push({ event: type, data: options.data, lastEventId: options.lastEventId ?? '' })
      return true
    }
    const stream = new EventSourceStream({ eventSourceSettings: state, push })
    for (const chunk of chunks) {
      stream._transform(Buffer.from(chunk), 'buffer', (error) => {
        if (error) throw error
      })
    }
    return { events, lastEventId: state.lastEventId ?? '', reconnectionTime: state.reconnectionTime }
  }
}

/** Used by the `eventsource` package and many others. It reports ids only with the events that carry them. */
export const eventsourceParser: Client = {
  name: 'eventsource-parser',
  read(chunks) {
    const events: Received[] = []
    let lastEventId = ''
    let reconnectionTime: number | undefined
    const parser = createParser({
      onEvent({ event = 'message', data, id }) {
        lastEventId = id ?? lastEventId
        events.push({ event, data, lastEventId })
      },
      onRetry(milliseconds) {
        reconnectionTime = milliseconds
      }
    })
    const decoder = new TextDecoder()
    for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }))
    return { events, lastEventId, reconnectionTime }
  }
}

/** The project's own client. */
const hubClient: Client = {
  name: 'fastify-sse-hub/client',
  read(chunks) {
    const events: Received[] = []
    let lastEventId = ''
    let reconnectionTime: number | undefined
    const read = frameReader()
    const decoder = new TextDecoder()
    for (const chunk of chunks) {
      for (const { event, data, id, retry } of read(decoder.decode(chunk, { stream: true }))) {
        lastEventId = id ?? lastEventId
        reconnectionTime = retry ?? reconnectionTime
        if (data !== undefined) events.push({ event, data, lastEventId })
      }
    }
    return { events, lastEventId, reconnectionTime }
  }
}

export const CLIENTS: readonly Client[] = [strict, undici, eventsourceParser, hubClient]

/** Cuts bytes into pieces of these sizes, repeated: `[1]` is a byte at a time. */
export function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] as number
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}
