import { type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client'

type CollectedMetric = MetricObjectWithValues<MetricValue<string>>

/** Writes the metrics of several workers as one text. Each value has the label `worker`, so nothing is added up. */
export function serverMetrics(workers: readonly (readonly CollectedMetric[])[]): Promise<string> {
  const metrics = new Map<string, CollectedMetric>()
  for (const metric of workers.flat()) {
    const values = [...(metrics.get(metric.name)?.values ?? []), ...metric.values.map(asNumber)]
    metrics.set(metric.name, { ...metric, values })
  }
  const registry = new Registry()
  for (const metric of metrics.values()) registry.registerMetric({ ...metric, get: () => metric } as never)
  return registry.metrics()
}

/** Between processes a value that is not a number arrives as null. */
function asNumber(value: MetricValue<string>): MetricValue<string> {
  return { ...value, value: value.value ?? Number.NaN }
}
