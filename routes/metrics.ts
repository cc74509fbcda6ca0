import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { hubMetrics } from '../services/metrics/hub-metrics.ts'
import { useHubSchemas } from './hub-schemas.ts'

export interface MetricsOptions {
  /** Hooks that refuse callers. */
  readonly onRequest: onRequestHookHandler[]
}

/** The precision of the event loop's lag, in milliseconds: each sample wakes the process up. */
const LAG_PRECISION = 20

/** `GET /metrics`: the metrics of the hub and of its process, as Prometheus reads them. */
export async function metricsRoute(app: FastifyInstance, { onRequest }: MetricsOptions): Promise<void> {
  useHubSchemas(app)
  const registry = new Registry()
  hubMetrics(app.sse, registry)
  let isWatched = false
  app.get('/metrics', { onRequest }, async (_request, reply) => {
    // From the first scrape on: the lag of the event loop is measured by a timer that a hub without Prometheus does not need.
    if (!isWatched) collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION })
    isWatched = true
    const text = await registry.metrics()
    return reply.type(registry.contentType).header('cache-control', 'no-store').send(text)
  })
}
