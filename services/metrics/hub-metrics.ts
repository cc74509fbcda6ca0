import type { Hub } from '../hub/hub.ts'
import type { HubMeasures } from '../hub/hub-measures.ts'
import { LATENCY_BOUNDS, type LatencyHistogram } from '../latency-histogram.ts'
import { METRICS } from './catalogue.ts'
import { type HubMetric, type Sample, seconds } from './metric.ts'

/** The part of a `Registry` of `prom-client` that takes metrics. */
export interface MetricRegistry {
  registerMetric(metric: never): void
}

/** A sample as `prom-client` renders it; a histogram has several names. */
interface RenderedSample extends Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly metricName?: string
}

/** A metric as a registry of `prom-client` asks for it: no value is stored in it. */
interface CollectedMetric {
  readonly name: string
  readonly help: string
  readonly type: HubMetric['type']
  /** How a cluster of processes adds it up. */
  readonly aggregator: 'sum'
  get(): Promise<object>
  reset(): void
}

/**
 * Adds the metrics of a hub to a registry of `prom-client`, which the host exposes. A registry takes one hub. Metrics are
 * computed when the registry is read; until then the hub only counts.
 */
export function hubMetrics(hub: Pick<Hub, 'stats'>, registry: MetricRegistry): void {
  const read = readOnce((hub as Hub).measure())
  for (const metric of METRICS) registry.registerMetric(collected(metric, read) as never)
}

/** All metrics of one scrape share one reading. */
function readOnce(measure: () => Promise<HubMeasures>): () => Promise<HubMeasures> {
  let reading: Promise<HubMeasures> | undefined
  return () => {
    if (reading === undefined) {
      reading = measure()
      setImmediate(() => {
        reading = undefined
      })
    }
    return reading
  }
}

function collected(metric: HubMetric, read: () => Promise<HubMeasures>): CollectedMetric {
  const { name, help, type } = metric
  const aggregator = 'sum'
  return {
    ...{ name, help, type, aggregator },
    async get() {
      const measures = await read()
      const values =
        metric.type === 'histogram'
          ? bucketsOf(name, metric.read(measures))
          : metric.read(measures).map((sample) => ({ labels: {}, ...sample }))
      return { name, help, type, aggregator, values }
    },
    // The counts belong to the hub.
    reset: () => {}
  }
}

function bucketsOf(name: string, histogram: LatencyHistogram | undefined): RenderedSample[] {
  if (histogram === undefined) return []
  const { counts, sum, count } = histogram
  const metricName = `${name}_bucket`
  let below = 0
  const buckets = LATENCY_BOUNDS.map((bound, at) => {
    below += counts[at] as number
    return { metricName, value: below, labels: { le: String(seconds(bound)) } }
  })
  return [
    ...buckets,
    { metricName, value: count, labels: { le: '+Inf' } },
    { metricName: `${name}_sum`, value: seconds(sum), labels: {} },
    { metricName: `${name}_count`, value: count, labels: {} }
  ]
}
