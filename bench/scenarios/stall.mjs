import { payloadOf } from '../lib/event-sources.mjs'
import { attempt, measure } from '../lib/measure.mjs'
import { LOOPS, PACKAGES, titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { atMost, COUNTS, one, SHARES, whole } from '../lib/report.mjs'

export const title = 'Stalls of the event loop'

const STREAMS = 15_000
const BYTES = 200

/** Broadcasts once a second. Meanwhile the server measures the delay of a timer of one millisecond. */
function stall(server, { events }) {
  return withServer(server, {}, async (hub, load) => {
    await load.ask('open', { port: hub.port, count: STREAMS, path: '/events?user=u#' })
    const what = {
      port: hub.port,
      path: '/broadcast',
      payload: payloadOf(BYTES),
      rate: 1,
      fanOut: STREAMS,
      latencyEvery: 10
    }
    await hub.ask('reset')
    // V8 sweeps the heap during the first broadcast after a full collection.
    await load.ask('publishAt', { ...what, milliseconds: 1_000 })
    await hub.ask('forgetStalls')
    const run = await measure(hub, load, () => load.ask('publishAt', { ...what, milliseconds: events * 1_000 }))
    const { longest, p99 } = await hub.ask('stall')
    const isComplete = run.min === run.published && run.max === run.published
    return { ...run, longest, p99, median: run.latency.p50, last: run.latency.max, isComplete }
  })
}

export async function run({ quick, say }) {
  const events = quick ? 3 : 10
  const rows = []
  for (const server of quick ? ['hub'] : ['hub', ...PACKAGES, ...LOOPS]) {
    say(`${server}: ${whole(STREAMS)} streams`)
    rows.push(await attempt(server, say, () => stall(server, { events })))
  }
  const table = {
    title: `${whole(STREAMS)} streams, ${events} broadcasts of ${BYTES} bytes, one a second`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'longest', title: 'longest stall, ms', as: one },
      { key: 'median', title: 'median delivery, ms', as: one },
      { key: 'last', title: 'last delivery, ms', as: one },
      ...SHARES,
      COUNTS
    ],
    rows
  }
  const targets = [atMost('15,000 streams: longest stall of the event loop, ms', rows[0].longest, 25, one)]
  return { tables: [table], targets }
}
