/**
 * The wire format of an event stream: WHATWG HTML §9.2.5 (its grammar) and §9.2.6 (how clients parse it).
 * Pure, and imports nothing: this file alone defines the bytes that leave the hub.
 *
 * Invalid fields are rejected, never cleaned: a name or id that would need cleaning is a mistake or an attack, and the caller
 * has to learn of both.
 */

/** The largest `retry` a stream may carry: an hour, in milliseconds. */
export const MAX_RECONNECTION_TIME = 3_600_000

/** §9.2.5: a line ends with CRLF, LF or CR. */
const LINE_END = /\r\n|\r|\n/g

/** The fields of one event before it is encoded. */
export interface EventFields {
  /** The event's name. `message`, the name that a client assumes (§9.2.6), is left out on the wire. */
  readonly event: string
  /** The text. CRLF, CR and LF all end a line, and arrive at the client as LF. */
  readonly data: string
  /**
   * The reconnection time in milliseconds. It has no block of its own: several clients dispatch a block without data as an
   * event, or ignore its fields.
   */
  readonly reconnectionTime?: number | undefined
  /** The last event ID that the client keeps. Left out, the client keeps the one it has. */
  readonly id?: string | undefined
}

/**
 * One event with the blank line that dispatches it, as text for one write. `id` is the last field: a client that keeps the id
 * of a block whose end never arrives has its data as well.
 * @throws {TypeError} when a field would break out of its line, or when a client would ignore it or could not send it back.
 */
export function formatEvent({ event, data, reconnectionTime, id }: EventFields): string {
  const retry = reconnectionTime === undefined ? '' : retryField(reconnectionTime)
  return `${eventField(event)}${dataFields(data)}${retry}${id === undefined ? '' : idField(id)}\n`
}

function eventField(event: string): string {
  if (!isEventName(event)) throw new TypeError('event name must be a non-empty string without CR, LF or NUL')
  return event === 'message' ? '' : `event: ${event}\n`
}

/**
 * One `data` field per line. The space after the colon is always written, because a client removes one: without it the first
 * space of the text would be lost. Empty text still needs one field, or the client dispatches nothing.
 */
function dataFields(text: string): string {
  // Nearly all data is one line of JSON; the two searches are cheaper than splitting.
  if (text.indexOf('\n') === -1 && text.indexOf('\r') === -1) return `data: ${text}\n`
  return `data: ${text.split(LINE_END).join('\ndata: ')}\n`
}

/** Digits only, or clients ignore it (§9.2.6, "retry"). */
function retryField(milliseconds: number): string {
  if (!Number.isInteger(milliseconds) || milliseconds < 0 || milliseconds > MAX_RECONNECTION_TIME) {
    throw new TypeError(`reconnection time must be an integer from 0 to ${MAX_RECONNECTION_TIME} milliseconds`)
  }
  return `retry: ${milliseconds}\n`
}

function idField(id: string): string {
  if (!isEventId(id)) throw new TypeError('event id must be 1 to 128 characters of [0-9a-z.]')
  return `id: ${id}\n`
}

/** The number of bytes of a text as data: each line end begins another field. */
export function dataBytes(text: string): number {
  let bytes = Buffer.byteLength(text)
  if (text.indexOf('\n') === -1 && text.indexOf('\r') === -1) return bytes
  for (const [end] of text.matchAll(LINE_END)) bytes += '\ndata: '.length - end.length
  return bytes
}

/**
 * A comment, which clients ignore. Like data it is split at every line end, so that no text can leave the comment. No blank
 * line follows: several clients dispatch an event at any blank line.
 * @throws {TypeError} when `text` is not a string.
 */
export function formatComment(text: string): string {
  if (typeof text !== 'string') throw new TypeError('comment must be a string')
  return `: ${text.split(LINE_END).join('\n: ')}\n`
}

/** Whether the text can stand in an `event` field: no line ends, no NUL, and not empty (empty means `message`). */
export function isEventName(text: unknown): text is string {
  return typeof text === 'string' && text !== '' && !/[\r\n\0]/.test(text)
}

/**
 * Whether the text can stand in an `id` field and come back as a request header from every client: a control character or
 * one outside Latin-1 leaves some clients reconnecting for ever, and `"():<>?@[\]{}` would need a CORS preflight.
 */
export function isEventId(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-z.]{1,128}$/.test(text)
}
