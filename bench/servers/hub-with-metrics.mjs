import { Registry } from 'prom-client'
import { hubMetrics } from '../../dist/metrics.js'
import { app } from './hub.mjs'

const SCRAPE_INTERVAL = 1_000

const registry = new Registry()
hubMetrics(app.sse, registry)
setInterval(() => registry.metrics(), SCRAPE_INTERVAL)
