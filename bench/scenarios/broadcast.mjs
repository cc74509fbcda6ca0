import { startLoad, startServer } from '../lib/processes.mjs'

/**
 * Broadcasts over HTTP to so many streams, with so many publishers in flight, each waiting for its answer.
 * Deliveries are counted at the sockets, and every stream must have got the same.
 */
export async function broadcast(server, { streams, inFlight, bytes, milliseconds }) {
  const hub = await startServer(server)
  const load = await startLoad()
  try {
    await load.ask({ call: 'open', port: hub.port, count: streams, path: '/events?user=u#' })
    const payload = JSON.stringify({ data: `~@${'x'.repeat(Math.max(0, bytes - 21))}` })
    const publish = (duration) =>
      load.ask({ call: 'publish', port: hub.port, inFlight, path: '/broadcast', payload, milliseconds: duration })
    await publish(milliseconds / 4)
    await settled(load)
    await load.ask({ call: 'reset', measure: Math.max(1, Math.floor(streams / 20)) })
    await hub.reset()
    const [before, loadBefore] = [await hub.usage(), await load.ask({ call: 'counts' })]
    const begun = performance.now()
    const { published } = await publish(milliseconds)
    const counts = await settled(load)
    const after = await hub.usage()
    const took = (performance.now() - begun) / 1000
    const complete = counts.least === published && counts.most === published
    return {
      deliveries: Math.round(counts.received / took),
      cpu: (after.cpu - before.cpu) / counts.received,
      publishes: Math.round(published / took),
      stall: after.stall,
      latency: percentile(counts.latencies, 0.5),
      p99: percentile(counts.latencies, 0.99),
      load: (counts.cpu - loadBefore.cpu) / 1e6 / took,
      server: (after.cpu - before.cpu) / 1e6 / took,
      complete
    }
  } finally {
    await Promise.all([hub.stop(), load.stop()])
  }
}

/** Waits until nothing more arrives. */
export async function settled(load) {
  let last = await load.ask({ call: 'counts' })
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    const now = await load.ask({ call: 'counts' })
    if (now.received === last.received) return now
    last = now
  }
}

export function percentile(values, share) {
  if (values.length === 0) return Number.NaN
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}
