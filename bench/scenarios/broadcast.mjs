import { markedText } from '../lib/event-sources.mjs'
import { inTurns, measure } from '../lib/measure.mjs'
import { ALL, NCHAN, OTHERS, PACKAGES, titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { atLeast, atMost, COUNTS, one, SHARES, times, two, whole } from '../lib/report.mjs'
import { requestsOf } from '../lib/requests.mjs'
import { medianRow } from '../lib/statistics.mjs'

export const title = 'Broadcasts over HTTP'

const SATURATED = 16
/**
 * From this size on, publishers wait for delivery: the network is slower than publishing, and without waiting the figures
 * would only compare the lengths of queues.
 */
const PACED = 32_768
/** Approximate number of streams whose latency is measured, spread over all. */
const SAMPLED = 20

/**
 * Broadcasts to `streams` with `inFlight` publishers, each waiting for its answer. Deliveries are counted at the sockets,
 * and every stream must get the same number.
 */
export function broadcast(server, { streams, bytes, inFlight, milliseconds, isPaced = false }) {
  return withServer(server, {}, async (hub, load) => {
    const { stream, toEveryone } = requestsOf(server)
    await load.ask('open', { port: hub.port, count: streams, path: stream })
    const what = { port: hub.port, inFlight, isPaced, fanOut: streams }
    const events = { ...toEveryone(markedText(bytes)), latencyEvery: Math.max(1, Math.floor(streams / SAMPLED)) }
    await load.ask('publish', { ...what, ...events, milliseconds: milliseconds / 4 })
    await hub.ask('reset')
    const run = await measure(hub, load, () => load.ask('publish', { ...what, ...events, milliseconds }))
    return {
      ...run,
      ...run.latency,
      rate: run.received / run.seconds,
      each: run.cpu / run.received,
      isComplete: run.min === run.published && run.max === run.published
    }
  })
}

/** Streams and bytes. The targets apply to the first, which is measured several times. */
const FULL = [
  [1_000, 200],
  [100, 200],
  [5_000, 200],
  [15_000, 200],
  [1_000, 100],
  [1_000, 2_048],
  [1_000, 32_768]
]

export async function run({ quick, say }) {
  const milliseconds = quick ? 800 : 2_000
  const tables = []
  const targets = []
  for (const [index, [streams, bytes]] of (quick ? FULL.slice(0, 1) : FULL).entries()) {
    const isMain = index === 0
    const load = { streams, bytes, milliseconds, isPaced: bytes >= PACED }
    say(`${whole(streams)} streams, ${whole(bytes)} bytes`)
    const saturated = await rowsOf(ALL, isMain && !quick ? 3 : 1, say, { ...load, inFlight: SATURATED })
    tables.push(saturatedTable(streams, bytes, saturated))
    const others = isMain && !quick ? [...PACKAGES, 'hand-written', ...OTHERS] : []
    const single = await rowsOf(['hub', 'bare-socket'], isMain ? (quick ? 2 : 7) : 1, say, { ...load, inFlight: 1 })
    single.push(...(await rowsOf(others, 1, say, { ...load, inFlight: 1 })))
    tables.push(singleTable(streams, bytes, single))
    if (isMain) targets.push(...targetsOf(saturated, single))
  }
  return { tables, targets }
}

async function rowsOf(servers, runs, say, load) {
  const measured = await inTurns(servers, runs, say, (server) => broadcast(server, load))
  return measured.map(medianRow)
}

const rowOf = (rows, name) => rows.find(({ server }) => server === name) ?? {}

function saturatedTable(streams, bytes, rows) {
  const { rate } = rowOf(rows, 'hub')
  return {
    title: `${whole(streams)} streams, ${whole(bytes)} bytes, ${SATURATED} publishers in flight${bytes >= PACED ? ', each waiting for delivery' : ''}`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'rate', title: 'deliveries/s', as: whole },
      { key: 'hubIs', title: 'hub is', as: times },
      { key: 'each', title: 'µs CPU each', as: two },
      { key: 'p50', title: 'p50 ms', as: one },
      { key: 'p99', title: 'p99 ms', as: one },
      ...SHARES,
      COUNTS
    ],
    rows: rows.map((row) => ({ ...row, hubIs: rate / row.rate })),
    isThroughput: true
  }
}

function singleTable(streams, bytes, rows) {
  const { each } = rowOf(rows, 'bare-socket')
  return {
    title: `${whole(streams)} streams, ${whole(bytes)} bytes, one publisher at a time`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'each', title: 'µs CPU each', as: two },
      { key: 'toFloor', title: 'to bare sockets', as: times },
      { key: 'rate', title: 'deliveries/s', as: whole },
      { key: 'p50', title: 'p50 ms', as: one },
      { key: 'p99', title: 'p99 ms', as: one },
      ...SHARES,
      COUNTS
    ],
    rows: rows.map((row) => ({ ...row, toFloor: row.each / each }))
  }
}

function targetsOf(saturated, single) {
  const { rate } = rowOf(saturated, 'hub')
  const best = Math.max(...PACKAGES.map((name) => rowOf(saturated, name).rate ?? 0))
  const targets = [atLeast('broadcast, 16 in flight: over the best package', rate / best, 10, times)]
  for (const name of NCHAN) {
    targets.push(atLeast('broadcast, 16 in flight: over nchan', rate / rowOf(saturated, name).rate, 5, times))
  }
  if (rowOf(saturated, 'axum').rate !== undefined)
    targets.push(atLeast('broadcast, 16 in flight: over axum', rate / rowOf(saturated, 'axum').rate, 2, times))
  const toFloor = rowOf(single, 'hub').each / rowOf(single, 'bare-socket').each
  return [...targets, atMost('one publisher: CPU a delivery to bare sockets', toFloor, 1.1, times)]
}
