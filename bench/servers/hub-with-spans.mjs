import { BatchSpanProcessor, InMemorySpanExporter, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

const exporter = new InMemorySpanExporter()
setInterval(() => exporter.reset(), 1_000)
new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] }).register()
await import('./hub-with-tracing.mjs')
