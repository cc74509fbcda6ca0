import { store } from './event-store.ts'
import { health, hubStats } from './health.ts'
import { latencies } from './sending.ts'
import { streams } from './streams.ts'

/** Seconds that the charts show. */
export const WINDOW = 60

/** One value a second for each chart; null where it is not known. */
export const series = {
  time: [] as number[],
  events: [] as (number | null)[],
  deliveries: [] as (number | null)[],
  latency: [] as (number | null)[],
  streams: [] as (number | null)[]
}

const last = { events: 0, deliveries: 0 }

/** Events and deliveries are those of this page's streams; open streams are those of the whole hub, where they may be read. */
export function sampleRates(): void {
  const now = Date.now()
  const recent = latencies.filter(({ at }) => now - at < 1_000).map(({ latency }) => latency)
  recent.sort((one, other) => one - other)
  push(series.time, now / 1_000)
  push(series.events, store.events - last.events)
  push(series.deliveries, store.deliveries - last.deliveries)
  push(series.latency, recent[recent.length >> 1] ?? null)
  const own = streams.value.filter(({ state }) => state === 'open').length
  push(series.streams, hubStats.value?.cluster.streams ?? (health.value === 'away' ? null : own))
  last.events = store.events
  last.deliveries = store.deliveries
}

function push<Value>(values: Value[], value: Value): void {
  values.push(value)
  if (values.length > WINDOW) values.shift()
}

setInterval(sampleRates, 1_000)
