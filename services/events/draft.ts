import {
  EventTooLargeError,
  InvalidDataError,
  InvalidDraftError,
  InvalidEventNameError,
  ReservedEventNameError
} from '../errors.ts'
import { unknownName } from '../option-checks.ts'
import { describe, isBoundedText } from '../text.ts'
import type { NewEvent } from './log-event.ts'
import { dataBytes } from './wire-format.ts'

/** A map from event name to payload. With one, a wrong name or payload does not compile; see {@link SseHub}. */
export type EventMap = Record<string, unknown>

/** How an event is retained. Every property is optional: by default the retention of its channel evicts an event. */
export interface EventHandling {
  /**
   * How long the event is replayed, in milliseconds. After that it is evicted, which is not a gap.
   * @default undefined: as long as the retention of its channel
   */
  readonly ttl?: number | undefined
  /**
   * In each channel only the newest event of a key is replayed, for a progress, a counter, a status. Open streams get all.
   * @default undefined: every event is replayed
   */
  readonly collapseKey?: string | undefined
  /**
   * The event has no id and no history: only live and opening streams receive it. For typing indicators and mouse cursors.
   * @default false
   */
  readonly transient?: boolean | undefined
  /**
   * Files the event in the inbox of each user that it is addressed to, too: retained by `retention.inbox` and
   * `retention.inboxAge`, and counted as unread until the user marks it as read.
   * @default false
   */
  readonly inbox?: boolean | undefined
  /**
   * Makes retries safe: the same key within `idempotencyWindow`, by the same publisher and for the same target, returns the
   * first receipt again and publishes nothing. With other content it is an error, `SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED`. The hub
   * stores a publisher's newest 100,000 keys.
   * @default undefined: every call publishes
   */
  readonly idempotencyKey?: string | undefined
  /**
   * Ends the streams that `follow()` the event's topic, after they have received it.
   * @default false
   */
  readonly final?: boolean | undefined
  /**
   * The event is final, and its topic has failed: the streams that `follow()` it end with the close reason `failed` instead of
   * `finished`. The event says why.
   * @default false
   */
  readonly fail?: boolean | undefined
}

/**
 * An event to publish. `data` is sent as it is if it is a string, anything else as JSON. `event` is the name that clients
 * listen for, `message` if left out.
 */
export type EventDraft<Events extends object = EventMap> = EventHandling &
  (string extends keyof Events
    ? { readonly event?: string | undefined; readonly data: unknown }
    : {
        [Name in keyof Events & string]: Name extends 'message'
          ? { readonly event?: Name | undefined; readonly data: Events[Name] }
          : { readonly event: Name; readonly data: Events[Name] }
      }[keyof Events & string])

/** A draft whose event is logged, and so has an id. */
export type LoggedDraft<Events extends object = EventMap> = EventDraft<Events> & {
  readonly transient?: false | undefined
}

/** A draft without an event map, as all code below the typed interface uses it. */
export type AnyDraft = EventHandling & { readonly event?: string | undefined; readonly data: unknown }

/** A checked event, before its publisher, its channels and its number of streams are known. */
export type PreparedEvent = Omit<NewEvent, 'channels' | 'streams' | 'idempotency'> & {
  readonly idempotencyKey: string | undefined
  readonly inbox: boolean
}

const MAX_NAME_BYTES = 128
const MAX_KEY_BYTES = 256
/** A year: beyond any retention, and small enough for safe sums with dates. */
const MAX_TTL = 31_536_000_000
const DRAFT_PROPERTIES = [
  'data',
  'event',
  'ttl',
  'collapseKey',
  'transient',
  'idempotencyKey',
  'final',
  'fail',
  'inbox'
]
/** The properties of an event in a batch. */
export const TARGETED_PROPERTIES = ['to', ...DRAFT_PROPERTIES]
/** No honest publisher nests JSON deeper, and deeper JSON breaks the parsers of some clients. */
const MAX_DEPTH = 64
/** EventSource itself dispatches `open` and `error`; `__proto__` is unsafe as a property name. */
const RESERVED = new Set(['open', 'error', '__proto__'])

/**
 * Checks a draft and turns its data into text, once, before anything is stored or sent. Later changes to the caller's object
 * have no effect.
 * @param properties the allowed properties of the draft.
 */
export function prepareEvent(draft: AnyDraft, maxEventBytes: number, properties = DRAFT_PROPERTIES): PreparedEvent {
  if (typeof draft !== 'object' || draft === null) {
    throw new InvalidDraftError(`An event is an object with data; got ${describe(draft)}`)
  }
  const unknown = unknownName(draft, properties)
  if (unknown !== undefined) {
    throw new InvalidDraftError(
      `An event has no ${JSON.stringify(unknown.slice(0, 40))}; it has ${properties.join(', ')}`
    )
  }
  const { ttl, collapseKey, idempotencyKey, transient = false, fail = false, final = fail, inbox = false } = draft
  checkTtl(ttl)
  checkKey('collapseKey', collapseKey)
  checkKey('idempotencyKey', idempotencyKey)
  checkFlag('transient', transient)
  checkFlag('fail', fail)
  checkFlag('final', final)
  checkFlag('inbox', inbox)
  if (collapseKey?.startsWith('hub.')) throw new InvalidDraftError('A collapseKey that begins with "hub." is reserved')
  if (transient && inbox) throw new InvalidDraftError('A transient event cannot be filed in an inbox')
  if (fail && !final) throw new InvalidDraftError('An event with fail is final; leave final out')
  if (transient && final) {
    throw new InvalidDraftError(
      'A final event cannot be transient: a disconnected client would wait for the end for ever'
    )
  }
  const event = checkEventName(draft.event ?? 'message')
  return {
    event,
    data: dataText(draft.data, maxEventBytes),
    ttl,
    collapseKey,
    idempotencyKey,
    transient,
    final: fail ? 'failed' : final,
    inbox
  }
}

/** @throws {InvalidEventNameError | ReservedEventNameError} */
function checkEventName(name: unknown): string {
  if (!isBoundedText(name, MAX_NAME_BYTES)) throw new InvalidEventNameError(describe(name))
  if (name.startsWith('hub.') || RESERVED.has(name)) throw new ReservedEventNameError(JSON.stringify(name))
  return name
}

function dataText(data: unknown, maxEventBytes: number): string {
  const text = typeof data === 'string' ? data : toJson(data)
  checkSize(text, maxEventBytes)
  if (!text.isWellFormed()) throw new InvalidDataError('must be well-formed Unicode, without lone surrogates')
  return text
}

/** The size on the wire counts: text of line ends alone takes seven times its length. */
function checkSize(text: string, maxEventBytes: number): void {
  // A UTF-16 unit is at most three bytes of UTF-8, or a line end: short texts need no counting.
  if (text.length * 7 <= maxEventBytes) return
  const bytes = text.length > maxEventBytes ? text.length : dataBytes(text)
  if (bytes > maxEventBytes) throw new EventTooLargeError(maxEventBytes, bytes)
}

function toJson(data: unknown): string {
  let json: string | undefined
  try {
    json = JSON.stringify(data)
  } catch (error) {
    throw new InvalidDataError(`cannot be written as JSON: ${error instanceof Error ? error.message : 'toJSON threw'}`)
  }
  if (json === undefined)
    throw new InvalidDataError(`must be a string or something that JSON can hold; got ${typeof data}`)
  if (json.length > 2 * MAX_DEPTH && isTooDeep(json)) {
    throw new InvalidDataError(`is nested more than ${MAX_DEPTH} deep; flatten it`)
  }
  return json
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

function isTooDeep(json: string): boolean {
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at)
    if (unit === QUOTE) {
      at = endOfString(json, at)
      if (at === -1) return false
    } else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > MAX_DEPTH) return true
    } else if (unit === 0x5d || unit === 0x7d) depth--
  }
  return false
}

/** The index of the quote that closes the string which opens at `start`. */
function endOfString(json: string, start: number): number {
  let end = json.indexOf('"', start + 1)
  while (end !== -1) {
    let backslashes = 0
    while (json.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end
    end = json.indexOf('"', end + 1)
  }
  return -1
}

function checkTtl(ttl: unknown): void {
  if (ttl === undefined) return
  if (!Number.isSafeInteger(ttl) || (ttl as number) < 1 || (ttl as number) > MAX_TTL) {
    throw new InvalidDraftError(
      `ttl is an integer from 1 to ${MAX_TTL} milliseconds; got ${typeof ttl === 'number' ? ttl : describe(ttl)}`
    )
  }
}

function checkKey(name: string, key: unknown): void {
  if (key !== undefined && !isBoundedText(key, MAX_KEY_BYTES)) {
    throw new InvalidDraftError(
      `${name} is 1 to ${MAX_KEY_BYTES} bytes of text without control characters; got ${describe(key)}`
    )
  }
}

function checkFlag(name: string, flag: unknown): void {
  if (typeof flag !== 'boolean') throw new InvalidDraftError(`${name} is true or false; got ${describe(flag)}`)
}
