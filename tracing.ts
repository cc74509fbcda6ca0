export type { TraceHeaders } from './services/events/trace.ts'
export { type HubTracingOptions, hubTracing } from './services/tracing/hub-tracing.ts'
