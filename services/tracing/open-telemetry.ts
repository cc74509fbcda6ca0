import {
  type Attributes,
  type Context,
  context,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace
} from '@opentelemetry/api'
import { EVERYONE, isInboxChannel, userOfChannel } from '../events/channel.ts'
import type { LogEvent, NewEvent } from '../events/log-event.ts'
import {
  type EventTracing,
  isSampled,
  type RequestSubject,
  type TraceHeaders,
  traceHeadersOf,
  traceOf
} from '../events/trace.ts'

/** The receipt of a publication, as far as spans show it. */
type Receipts = readonly { readonly id: string | null; readonly streams: number }[]

const SYSTEM = 'fastify-sse-hub'

/**
 * Spans by the conventions for messaging. Their attributes are few and bounded, and name neither a user nor a topic.
 *
 * A delivery or webhook has a link to the publication and is its child, too: so one decision of the sampler holds for all nodes.
 */
export class OpenTelemetry implements EventTracing {
  readonly #tracer: Tracer
  readonly #log: string
  /** The traces of publications in progress that the sampler records, without sampling them: their appends are spans, too. */
  readonly #recorded = new Set<string>()

  /** @param log the kind of event log. */
  constructor(tracer: Tracer, log: string) {
    this.#tracer = tracer
    this.#log = log
  }

  publish<Result>(
    events: readonly NewEvent[],
    continued: TraceHeaders | undefined,
    append: (trace: string | undefined) => Promise<Result>
  ): Promise<Result> {
    const parent = parentOf(continued)
    const destination = destinationOf(events)
    // Complete, because a sampler sees only those that a span begins with.
    const attributes = publicationOf(events, destination)
    const span = this.#tracer.startSpan(`publish ${destination}`, { kind: SpanKind.PRODUCER, attributes }, parent)
    const published = span.spanContext()
    // Without an SDK there is nothing to continue.
    if (!span.isRecording() && !isSpanContextValid(published)) return append(undefined)
    const traced = textOf(published)
    if (span.isRecording()) return this.#record(span, events, traced, () => within(parent, span, append, traced))
    // The sampler has dropped the span, which is still the parent of spans that others begin within the append.
    return within(parent, span, append, traced)
  }

  /** Calls `append`, and ends the span with its result. */
  async #record<Result>(
    span: Span,
    events: readonly NewEvent[],
    traced: string | undefined,
    append: () => Promise<Result>
  ): Promise<Result> {
    const recorded = traced === undefined || isSampled(traced) ? undefined : traced
    if (recorded !== undefined) this.#recorded.add(recorded)
    try {
      const receipts = await append()
      const [receipt] = receipts as Receipts
      if (events.length === 1 && receipt !== undefined) span.setAttributes(receiptOf(receipt))
      span.end()
      return receipts
    } catch (error) {
      fail(span, error)
      throw error
    } finally {
      if (recorded !== undefined) this.#recorded.delete(recorded)
    }
  }

  append(events: readonly NewEvent[], append: Promise<unknown>): void {
    const traced = firstTraceOf(events)
    if (traced === undefined) return
    if (!isSampled(traced) && !this.#recorded.has(traced)) return
    const attributes = { 'sse_hub.log.kind': this.#log, 'messaging.batch.message_count': events.length }
    const span = this.#tracer.startSpan(`append ${this.#log}`, { attributes }, contextOf(spanContextOf(traced)))
    if (!span.isRecording()) return
    append.then(
      () => span.end(),
      (error) => fail(span, error)
    )
  }

  deliver(event: LogEvent, streams: number): (() => void) | undefined {
    const published = spanContextOf(event.trace as string)
    const destination = destinationOf([event])
    const attributes = deliveryOf(event, streams, destination)
    const options = { kind: SpanKind.CONSUMER, attributes, links: [{ context: published }] }
    const span = this.#tracer.startSpan(`deliver ${destination}`, options, contextOf(published))
    return span.isRecording() ? () => span.end() : undefined
  }

  async request<Result extends { readonly status: number }>(
    { id, type, trace: traced }: RequestSubject,
    send: (headers: Readonly<Record<string, string>>) => Promise<Result>
  ): Promise<Result> {
    const published = traced === undefined ? undefined : spanContextOf(traced)
    const attributes = {
      'messaging.system': SYSTEM,
      'messaging.operation.name': 'webhook',
      'messaging.operation.type': 'send',
      'messaging.destination.template': type,
      'messaging.message.id': id,
      'http.request.method': 'POST'
    }
    const links = published === undefined ? [] : [{ context: published }]
    const parent = published === undefined ? ROOT_CONTEXT : contextOf(published)
    const span = this.#tracer.startSpan(`webhook ${type}`, { kind: SpanKind.PRODUCER, attributes, links }, parent)
    const own = textOf(span.spanContext())
    const headers = own === undefined ? {} : { ...traceHeadersOf(own) }
    try {
      const result = await within(parent, span, send, headers)
      const { status } = result
      span.setAttribute('http.response.status_code', status)
      if (status >= 300) span.setAttribute('error.type', String(status)).setStatus({ code: SpanStatusCode.ERROR })
      span.end()
      return result
    } catch (error) {
      fail(span, error)
      throw error
    }
  }
}

/** The active span, or else the one that the headers name. */
function parentOf(continued: TraceHeaders | undefined): Context {
  const active = context.active()
  if (continued === undefined || trace.getSpan(active) !== undefined) return active
  const text = traceOf(continued)
  return text === undefined ? active : trace.setSpanContext(active, spanContextOf(text))
}

/** The trace of an event as the span that published it. */
function spanContextOf(text: string): SpanContext {
  const { traceparent, tracestate } = traceHeadersOf(text)
  const [, traceId, spanId, flags] = traceparent.split('-') as [string, string, string, string]
  const ids = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  return tracestate === undefined ? ids : { ...ids, traceState: createTraceState(tracestate) }
}

/** Calls a function while a span is active. */
const within = <Argument, Result>(
  parent: Context,
  span: Span,
  call: (argument: Argument) => Result,
  argument: Argument
) => context.with(trace.setSpan(parent, span), call, undefined, argument)

const contextOf = (span: SpanContext): Context => trace.setSpanContext(ROOT_CONTEXT, span)

function textOf(span: SpanContext): string | undefined {
  const { traceId, spanId, traceFlags, traceState } = span
  const flags = (traceFlags & 0xff).toString(16).padStart(2, '0')
  const tracestate = traceState?.serialize() || undefined
  return traceOf({ traceparent: `00-${traceId}-${spanId}-${flags}`, tracestate })
}

function firstTraceOf(events: readonly NewEvent[]): string | undefined {
  for (const { trace } of events) if (trace !== undefined) return trace
  return undefined
}

/** The kind of the destination, in place of its name. */
function destinationOf(events: readonly Pick<NewEvent, 'channels'>[]): string {
  let found: string | undefined
  for (const { channels } of events) {
    for (const channel of channels) {
      if (isInboxChannel(channel)) continue
      const kind = channel === EVERYONE ? 'everyone' : userOfChannel(channel) === undefined ? 'topic' : 'user'
      if (found !== undefined && found !== kind) return 'several'
      found = kind
    }
  }
  return found ?? 'several'
}

// The attributes of a publication are one literal, because they are made for unsampled ones, too.

function publicationOf(events: readonly NewEvent[], destination: string): Attributes {
  const [first] = events as [NewEvent]
  return events.length === 1
    ? {
        'messaging.system': SYSTEM,
        'messaging.operation.name': 'publish',
        'messaging.operation.type': 'send',
        'messaging.destination.template': destination,
        'sse_hub.event': first.event,
        'messaging.message.body.size': Buffer.byteLength(first.data)
      }
    : {
        'messaging.system': SYSTEM,
        'messaging.operation.name': 'publish',
        'messaging.operation.type': 'send',
        'messaging.destination.template': destination,
        'messaging.batch.message_count': events.length
      }
}

function deliveryOf({ id, event, data }: LogEvent, streams: number, destination: string): Attributes {
  return {
    'messaging.system': SYSTEM,
    'messaging.operation.name': 'deliver',
    'messaging.operation.type': 'process',
    'messaging.destination.template': destination,
    'sse_hub.event': event,
    'messaging.message.body.size': Buffer.byteLength(data),
    ...receiptOf({ id, streams })
  }
}

function receiptOf({ id, streams }: Receipts[number]): Attributes {
  return id === null ? { 'sse_hub.streams': streams } : { 'messaging.message.id': id, 'sse_hub.streams': streams }
}

function fail(span: Span, error: unknown): void {
  const { code, name } = error as { code?: string; name?: string }
  span.setAttribute('error.type', code ?? name ?? 'Error')
  // The message of an error may have the URL of a receiver.
  span.setStatus({ code: SpanStatusCode.ERROR })
  span.end()
}
