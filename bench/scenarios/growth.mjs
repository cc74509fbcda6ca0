import { chartOf } from '../lib/chart.mjs'
import { payloadOf } from '../lib/event-sources.mjs'
import { inTurns, measure, measureOpening } from '../lib/measure.mjs'
import { titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { atMost, COUNTS, times, two, whole } from '../lib/report.mjs'
import { medianRow } from '../lib/statistics.mjs'

export const title = 'Cost by number of streams'

const BYTES = 200
/** Minimal number of deliveries for a figure. */
const DELIVERIES = { quick: 100_000, full: 200_000 }
/** With fewer streams the growth of resident memory is below its noise. */
const WEIGHED = 3_000
/** The memory of the first streams includes code and buffers that all share. */
const FIRST = 1_000
/** Number of streams up to which the cost must be constant. */
const EVEN = 15_000

/**
 * One event at a time: each is published when all streams have the last one. Otherwise a server that works in slices would
 * join several in one write, and seem cheaper with more streams.
 */
function cost(server, streams, deliveries) {
  return withServer(server, { BENCH_HEARTBEAT: '600000' }, async (hub, load) => {
    const { port } = hub
    let kilobytes
    if (streams < WEIGHED) await load.ask('open', { port, count: streams, path: '/events?user=u#' })
    else {
      await load.ask('open', { port, count: FIRST, path: '/events?user=u#' })
      kilobytes = (await measureOpening(hub, load, { count: streams - FIRST, from: FIRST })).kilobytes
    }
    const what = { port, path: '/broadcast', payload: payloadOf(BYTES), inFlight: 1, isPaced: true, fanOut: streams }
    const total = Math.max(10, Math.ceil(deliveries / streams))
    await load.ask('publish', { ...what, total: Math.ceil(total / 4) })
    await hub.ask('reset')
    const run = await measure(hub, load, () => load.ask('publish', { ...what, total }))
    const isComplete = run.min === run.published && run.max === run.published
    return { ...run, streams, kilobytes, each: run.cpu / run.received, isComplete }
  })
}

export async function run({ quick, say }) {
  const servers = quick ? ['hub'] : ['hub', 'bare-socket', 'hand-written']
  const sizes = quick ? [100, 1_000, 10_000] : [100, 300, 1_000, 3_000, 10_000, 15_000, 18_000]
  const deliveries = quick ? DELIVERIES.quick : DELIVERIES.full
  const rows = []
  for (const streams of sizes) {
    say(`${whole(streams)} streams`)
    const measured = await inTurns(servers, quick ? 1 : 3, say, (server) => cost(server, streams, deliveries))
    rows.push(...measured.map(medianRow).map((row) => ({ ...row, streams })))
  }
  const costs = rows.filter(({ server, streams }) => server === 'hub' && streams <= EVEN).map(({ each }) => each)
  const table = {
    title: `broadcasts of ${BYTES} bytes, each when all streams have the last one`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'streams', title: 'streams', as: whole },
      { key: 'each', title: 'µs CPU a delivery', as: two },
      { key: 'kilobytes', title: 'KB resident a stream', as: two },
      COUNTS
    ],
    rows: rows.toSorted((a, b) => servers.indexOf(a.server) - servers.indexOf(b.server))
  }
  const spread = Math.max(...costs) / Math.min(...costs)
  return { tables: [table], targets: [atMost('CPU a delivery, from 100 to 15,000 streams', spread, 1.3, times)] }
}

/** CPU and memory by number of streams, as SVG. */
export function chart(rows) {
  const servers = [...new Set(rows.map(({ server }) => server))]
  const seriesOf = (key) =>
    servers.map((server) => ({
      name: titleOf(server),
      points: rows.filter((row) => row.server === server && row[key] > 0).map((row) => [row.streams, row[key]])
    }))
  return chartOf({
    label: 'CPU a delivery and resident memory a stream, from 100 to 18,000 streams',
    xTitle: 'open streams',
    panels: [
      { title: 'CPU a delivery, µs', series: seriesOf('each') },
      { title: 'Resident memory an idle stream, KB', series: seriesOf('kilobytes') }
    ]
  })
}
