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
  TraceFlags,
  type Tracer,
  trace
} from '@opentelemetry/api'
import { type Channel, EVERYONE, userOfChannel, userOfInbox } from '../events/channel.ts'
import type { LogEvent, NewEvent } from '../events/log-event.ts'
import { type EventTracing, type RequestSubject, type TraceHeaders, traceHeadersOf, traceOf } from '../events/trace.ts'

/** The receipt of a publication, as far as spans show it. */
type Receipts = readonly { readonly id: string | null; readonly streams: number }[]

const SYSTEM: Attributes = { 'messaging.system': 'fastify-sse-hub' }

/**
 * Spans by the conventions for messaging. Their attributes are few and bounded, and name neither a user nor a topic.
 *
 * A delivery or webhook has a link to the publication and is its child, too: so one decision of the sampler holds for all nodes.
 */
export class OpenTelemetry implements EventTracing {
  readonly #tracer: Tracer
  readonly #log: string

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
    const destination = destinationOf(events.flatMap(({ channels }) => channels))
    const [first] = events as [NewEvent]
    const attributes = {
      ...operation('publish', 'send', destination),
      ...(events.length === 1 ? contentOf(first) : { 'messaging.batch.message_count': events.length })
    }
    const span = this.#tracer.startSpan(`publish ${destination}`, { kind: SpanKind.PRODUCER, attributes }, parent)
    const appended = context.with(trace.setSpan(parent, span), append, undefined, textOf(span.spanContext()))
    return appended.then(
      (receipts) => {
        const [receipt] = receipts as Receipts
        if (events.length === 1 && receipt !== undefined && span.isRecording()) span.setAttributes(receiptOf(receipt))
        span.end()
        return receipts
      },
      (error) => {
        fail(span, error)
        throw error
      }
    )
  }

  append(events: readonly NewEvent[], append: Promise<unknown>): void {
    const traced = events.find((event) => event.trace !== undefined)?.trace
    if (traced === undefined) return
    const attributes = { 'sse_hub.log.kind': this.#log, 'messaging.batch.message_count': events.length }
    const span = this.#tracer.startSpan(`append ${this.#log}`, { attributes }, contextOf(spanContextOf(traced)))
    append.then(
      () => span.end(),
      (error) => fail(span, error)
    )
  }

  deliver(event: LogEvent, streams: number): (() => void) | undefined {
    const published = spanContextOf(event.trace as string)
    if ((published.traceFlags & TraceFlags.SAMPLED) === 0) return undefined
    const destination = destinationOf(event.channels)
    const attributes = {
      ...operation('deliver', 'process', destination),
      ...contentOf(event),
      ...receiptOf({ id: event.id, streams })
    }
    const options = { kind: SpanKind.CONSUMER, attributes, links: [{ context: published }] }
    const span = this.#tracer.startSpan(`deliver ${destination}`, options, contextOf(published))
    return () => span.end()
  }

  async request<Result extends { readonly status: number }>(
    { id, type, trace: traced }: RequestSubject,
    send: (headers: Readonly<Record<string, string>>) => Promise<Result>
  ): Promise<Result> {
    const published = traced === undefined ? undefined : spanContextOf(traced)
    const attributes = {
      ...operation('webhook', 'send', type),
      'messaging.message.id': id,
      'http.request.method': 'POST'
    }
    const links = published === undefined ? [] : [{ context: published }]
    const parent = published === undefined ? ROOT_CONTEXT : contextOf(published)
    const span = this.#tracer.startSpan(`webhook ${type}`, { kind: SpanKind.PRODUCER, attributes, links }, parent)
    const own = textOf(span.spanContext())
    const headers = own === undefined ? {} : { ...traceHeadersOf(own) }
    try {
      const result = await context.with(trace.setSpan(parent, span), send, undefined, headers)
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

const contextOf = (span: SpanContext): Context => trace.setSpanContext(ROOT_CONTEXT, span)

function textOf(span: SpanContext): string | undefined {
  if (!isSpanContextValid(span)) return undefined
  const { traceId, spanId, traceFlags, traceState } = span
  const flags = (traceFlags & 0xff).toString(16).padStart(2, '0')
  const tracestate = traceState?.serialize() || undefined
  return traceOf({ traceparent: `00-${traceId}-${spanId}-${flags}`, tracestate })
}

/** The kind of the destination, in place of its name. */
function destinationOf(channels: readonly Channel[]): string {
  let found: string | undefined
  for (const channel of channels) {
    if (userOfInbox(channel) !== undefined) continue
    const kind = channel === EVERYONE ? 'everyone' : userOfChannel(channel) === undefined ? 'topic' : 'user'
    if (found !== undefined && found !== kind) return 'several'
    found = kind
  }
  return found ?? 'several'
}

function operation(name: string, type: string, destination: string): Attributes {
  return {
    ...SYSTEM,
    'messaging.operation.name': name,
    'messaging.operation.type': type,
    'messaging.destination.template': destination
  }
}

function contentOf({ event, data }: Pick<NewEvent, 'event' | 'data'>): Attributes {
  return { 'sse_hub.event': event, 'messaging.message.body.size': Buffer.byteLength(data) }
}

function receiptOf({ id, streams }: Receipts[number]): Attributes {
  return { ...(id !== null && { 'messaging.message.id': id }), 'sse_hub.streams': streams }
}

function fail(span: Span, error: unknown): void {
  const { code, name } = error as { code?: string; name?: string }
  span.setAttribute('error.type', code ?? name ?? 'Error')
  // The message of an error may have the URL of a receiver.
  span.setStatus({ code: SpanStatusCode.ERROR })
  span.end()
}
