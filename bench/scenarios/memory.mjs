import { inTurns, measureOpening } from '../lib/measure.mjs'
import { ALL, titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { atMost, one, SHARES, times, two, whole } from '../lib/report.mjs'
import { requestsOf } from '../lib/requests.mjs'
import { medianRow } from '../lib/statistics.mjs'

export const title = 'Idle and opening streams'

const STREAMS = 10_000
/** The memory of the first streams includes code and buffers that all share. */
const FIRST = 1_000
/** Longer than the measurement, in milliseconds. */
const HEARTBEAT = '600000'

function idle(server) {
  return withServer(server, { BENCH_HEARTBEAT: HEARTBEAT }, async (hub, load) => {
    const path = requestsOf(server).stream
    await load.ask('open', { port: hub.port, count: FIRST, path })
    const opened = await measureOpening(hub, load, { count: STREAMS, from: FIRST, path })
    return { ...opened, rate: STREAMS / opened.seconds, each: opened.cpu / STREAMS }
  })
}

export async function run({ quick, say }) {
  const servers = quick ? ['hub', 'fastify-sse'] : ALL
  const rows = (await inTurns(servers, quick ? 1 : 3, say, idle)).map(medianRow)
  const rowOf = (name) => rows.find(({ server }) => server === name)
  const { kilobytes } = rowOf('hub')
  const table = {
    title: `${whole(STREAMS)} streams`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'kilobytes', title: 'KB resident each', as: two },
      { key: 'toHub', title: 'to the hub', as: times },
      { key: 'heap', title: 'KB heap each', as: two },
      { key: 'rate', title: 'opened/s', as: whole },
      { key: 'each', title: 'µs CPU each', as: one },
      ...SHARES
    ],
    rows: rows.map((row) => ({ ...row, toHub: row.kilobytes / kilobytes }))
  }
  return {
    tables: [table],
    targets: [
      atMost('resident KB for each idle stream', kilobytes, 10, two),
      atMost('the same, to @fastify/sse', kilobytes / rowOf('fastify-sse').kilobytes, 1, times)
    ]
  }
}
