import type { LogEvent, NewEvent } from './log-event.ts'

/** The headers of a trace context, as in the W3C recommendation. */
export interface TraceHeaders {
  readonly traceparent: string
  readonly tracestate?: string | undefined
}

// An event keeps its trace as one text: the `traceparent`, and after a space the `tracestate`, if there is one.

/** Max. length of a `tracestate`; a longer one is dropped. */
export const MAX_TRACESTATE = 512
const TRACEPARENT_LENGTH = 55
const IDS = /^(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
const PRINTABLE = /^[\x20-\x7e]+$/

/** The text of a trace; undefined if the headers are invalid, in which case the recommendation wants them ignored. */
export function traceOf({ traceparent, tracestate }: TraceHeaders): string | undefined {
  if (typeof traceparent !== 'string' || !isTraceparent(traceparent)) return undefined
  // A later version may append fields; the first ones mean the same.
  const known = traceparent.startsWith('00') ? traceparent : `00${traceparent.slice(2, TRACEPARENT_LENGTH)}`
  return isTracestate(tracestate) ? `${known} ${tracestate}` : known
}

/** The headers of a trace. */
export function traceHeadersOf(trace: string): TraceHeaders {
  const traceparent = trace.slice(0, TRACEPARENT_LENGTH)
  return trace.length === TRACEPARENT_LENGTH
    ? { traceparent }
    : { traceparent, tracestate: trace.slice(TRACEPARENT_LENGTH + 1) }
}

/** Whether the span that published the event was sampled: such an event is called sampled, too. */
export function isSampled(trace: string): boolean {
  return (Number.parseInt(trace[TRACEPARENT_LENGTH - 1] as string, 16) & 1) === 1
}

/** Whether a hub may have written this as the trace of an event. */
export function isTrace(value: unknown): value is string {
  if (typeof value !== 'string' || !value.startsWith('00-')) return false
  if (!IDS.test(value.slice(3, TRACEPARENT_LENGTH))) return false
  if (value.length === TRACEPARENT_LENGTH) return true
  return value[TRACEPARENT_LENGTH] === ' ' && isTracestate(value.slice(TRACEPARENT_LENGTH + 1))
}

function isTraceparent(text: string): boolean {
  const version = text.slice(0, 2)
  if (!/^[0-9a-f]{2}$/.test(version) || version === 'ff' || text[2] !== '-') return false
  const rest = text[TRACEPARENT_LENGTH]
  if (rest !== undefined && (version === '00' || rest !== '-')) return false
  return IDS.test(text.slice(3, TRACEPARENT_LENGTH))
}

function isTracestate(text: unknown): text is string {
  return typeof text === 'string' && text.length <= MAX_TRACESTATE && PRINTABLE.test(text)
}

/** Reports the work on events to a tracer. */
export interface EventTracing {
  /** Calls `append` within a span, with the trace for the events to keep, if one is active. */
  publish<Result>(
    events: readonly NewEvent[],
    continued: TraceHeaders | undefined,
    append: (trace: string | undefined) => Promise<Result>
  ): Promise<Result>
  /** Observes an append that has just begun; its caller handles the rejection. */
  append(events: readonly NewEvent[], append: Promise<unknown>): void
  /** Begins the delivery of a sampled event to streams of this node; returns the function that ends it, if it is recorded. */
  deliver(event: LogEvent, streams: number): (() => void) | undefined
  /** Calls `send` within a span, with the headers that continue it in another process. */
  request<Result extends { readonly status: number }>(
    subject: RequestSubject,
    send: (headers: Readonly<Record<string, string>>) => Promise<Result>
  ): Promise<Result>
}

/** A request to a receiver of webhooks. */
export interface RequestSubject {
  readonly id: string
  readonly type: string
  /** The trace of the event that it is about. */
  readonly trace: string | undefined
}
