export { hubMetrics, type MetricRegistry } from './services/metrics/hub-metrics.ts'
