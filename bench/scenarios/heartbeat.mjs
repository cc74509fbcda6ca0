import { attempt, measure } from '../lib/measure.mjs'
import { NCHAN, titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { one, percent, whole } from '../lib/report.mjs'

export const title = 'Heartbeats of idle streams'

/** Both sizes have the same number of heartbeats a second. */
const FULL = { streams: 15_000, interval: 15_000, intervals: 2 }
const QUICK = { streams: 3_000, interval: 3_000, intervals: 1 }

function heartbeats(server, { streams, interval, intervals }) {
  return withServer(server, { BENCH_HEARTBEAT: String(interval) }, async (hub, load) => {
    await load.ask('open', { port: hub.port, count: streams, path: '/events?user=u#' })
    await load.ask('listen', { milliseconds: interval / 3 })
    await hub.ask('reset')
    const run = await measure(hub, load, () => load.ask('listen', { milliseconds: interval * intervals }))
    // No other events are published, so every read is a heartbeat.
    return { ...run, rate: run.reads / run.seconds, each: run.cpu / run.reads }
  })
}

export async function run({ quick, say }) {
  const size = quick ? QUICK : FULL
  const rows = []
  for (const server of quick ? ['hub'] : ['hub', 'better-sse', 'fastify-sse', ...NCHAN]) {
    say(`${server}: ${whole(size.streams)} streams`)
    rows.push(await attempt(server, say, () => heartbeats(server, size)))
  }
  const table = {
    title: `${whole(size.streams)} streams, a heartbeat every ${size.interval / 1_000} s`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'serverShare', title: 'of one core', as: percent },
      { key: 'rate', title: 'heartbeats/s', as: whole },
      { key: 'each', title: 'µs CPU each', as: one }
    ],
    rows
  }
  return { tables: [table], targets: [] }
}
