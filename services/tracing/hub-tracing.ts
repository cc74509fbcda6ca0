import { isSpanContextValid, ProxyTracerProvider, type Tracer, trace } from '@opentelemetry/api'
import { InvalidOptionError } from '../errors.ts'
import type { Hub } from '../hub/hub.ts'
import { checkNames, hasMethods } from '../option-checks.ts'
import { OpenTelemetry } from './open-telemetry.ts'

/** The name of the instrumentation. */
const NAME = 'fastify-sse-hub'

export interface HubTracingOptions {
  /**
   * The tracer of the hub's spans.
   * @default the one named `fastify-sse-hub` of the global tracer provider, which the set-up of an SDK registers
   */
  readonly tracer?: Tracer | undefined
}

/**
 * Traces a hub from now on, with OpenTelemetry: publications, appends, deliveries and webhooks. Without an SDK there are no spans,
 * and a trace is stored with an event only if the publication continues one.
 * @throws {InvalidOptionError}
 */
export function hubTracing(hub: Pick<Hub, 'stats'>, options: HubTracingOptions = {}): void {
  checkNames('hubTracing', options, ['tracer'])
  const { tracer = trace.getTracer(NAME) } = options
  if (!hasMethods(tracer, ['startSpan']))
    throw new InvalidOptionError('hubTracing.tracer', 'is a tracer of OpenTelemetry')
  ;(hub as Hub).trace(new OpenTelemetry(tracer, hub.stats().log.kind))
}

/** Whether an SDK is loaded: without one, a span has no ids. The span is not ended, and so not exported. */
export function isTraced(): boolean {
  return isSpanContextValid(trace.getTracer(NAME).startSpan('set-up', { root: true }).spanContext())
}

/** Exports the spans that the SDK holds back, if it can. */
export async function flushSpans(): Promise<void> {
  const global = trace.getTracerProvider()
  const provider = global instanceof ProxyTracerProvider ? global.getDelegate() : global
  await (provider as { forceFlush?: () => Promise<void> }).forceFlush?.()
}
