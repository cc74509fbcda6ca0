import { payloadOf } from '../lib/event-sources.mjs'
import { attempt, measure } from '../lib/measure.mjs'
import { NCHAN, titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { COUNTS, one, share, whole } from '../lib/report.mjs'
import { broadcast } from './broadcast.mjs'

export const title = 'From publisher to event source'

const STREAMS = 1_000
const BYTES = 200
const SHARES_OF_RATE = [0.1, 0.5, 0.8]

/**
 * Broadcasts at a fixed rate. Each event has the time at which it was due, so the figures include every delay of server
 * and load.
 */
function atRate(server, { rate, milliseconds }) {
  return withServer(server, {}, async (hub, load) => {
    await load.ask('open', { port: hub.port, count: STREAMS, path: '/events?user=u#' })
    const what = {
      port: hub.port,
      path: '/broadcast',
      payload: payloadOf(BYTES),
      rate,
      fanOut: STREAMS,
      latencyEvery: 7
    }
    await load.ask('publishAt', { ...what, milliseconds: 500 })
    await hub.ask('reset')
    const run = await measure(hub, load, () => load.ask('publishAt', { ...what, milliseconds }))
    const isComplete = run.min === run.published && run.max === run.published
    return { ...run, ...run.latency, rate: rate * STREAMS, isComplete }
  })
}

export async function run({ quick, say }) {
  const milliseconds = quick ? 1_000 : 5_000
  const rows = []
  for (const server of quick ? ['hub'] : ['hub', 'better-sse', 'fastify-sse', 'hand-written', ...NCHAN]) {
    const saturation = { streams: STREAMS, bytes: BYTES, inFlight: 16, milliseconds }
    const saturated = await attempt(server, say, () => broadcast(server, saturation))
    if (saturated.error !== undefined) {
      rows.push(saturated)
      continue
    }
    for (const part of SHARES_OF_RATE) {
      say(`${server} at ${share(part)}`)
      const rate = (part * saturated.rate) / STREAMS
      rows.push({ part, ...(await attempt(server, say, () => atRate(server, { rate, milliseconds }))) })
    }
  }
  const table = {
    title: `${whole(STREAMS)} streams, ${BYTES} bytes, at fractions of the rate that each server reached with 16 publishers in flight; ms`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'part', title: 'of its rate', as: share },
      { key: 'rate', title: 'deliveries/s', as: whole },
      { key: 'p50', title: 'p50', as: one },
      { key: 'p90', title: 'p90', as: one },
      { key: 'p99', title: 'p99', as: one },
      { key: 'max', title: 'max', as: one },
      { key: 'lateness', title: 'load late, p99', as: one },
      { key: 'serverShare', title: 'server', as: share },
      COUNTS
    ],
    rows
  }
  return { tables: [table], targets: [] }
}
