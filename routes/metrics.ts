import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { hubMetrics } from '../services/metrics/hub-metrics.ts'
import type { WorkerGroup } from '../services/worker-group.ts'
import { useHubSchemas } from './hub-schemas.ts'
import { serverMetrics } from './server-metrics.ts'

export interface MetricsOptions {
  /** Hooks that refuse callers. */
  readonly onRequest: onRequestHookHandler[]
  /** The workers of the server, if there are several: then the metrics are those of all. */
  readonly workers?: WorkerGroup | undefined
}

/** The precision of the event loop's lag, in milliseconds: each sample wakes the process up. */
const LAG_PRECISION = 20

/** `GET /metrics`: the metrics of the hub and of its process, or of all workers of the server, as Prometheus reads them. */
export async function metricsRoute(app: FastifyInstance, { onRequest, workers }: MetricsOptions): Promise<void> {
  useHubSchemas(app)
  const registry = new Registry()
  hubMetrics(app.sse, registry)
  if (workers !== undefined) registry.setDefaultLabels({ worker: String(workers.number) })
  let isWatched = false
  // From the first scrape on: the lag of the event loop is measured by a timer that a hub without Prometheus does not need.
  const watch = () => {
    if (!isWatched) collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION })
    isWatched = true
  }
  const read = () => {
    watch()
    return registry.getMetricsAsJSON()
  }
  workers?.provide('metrics', read)
  const ofAll = async (group: WorkerGroup) => {
    const parts = await group.collect('metrics')
    return serverMetrics(parts.map(({ value }) => value as Awaited<ReturnType<typeof read>>))
  }
  app.get('/metrics', { onRequest }, async (_request, reply) => {
    watch()
    const text = await (workers === undefined ? registry.metrics() : ofAll(workers))
    return reply.type(registry.contentType).header('cache-control', 'no-store').send(text)
  })
}
