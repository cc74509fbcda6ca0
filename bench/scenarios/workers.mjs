import { markedText, payloadOf } from '../lib/event-sources.mjs'
import { inTurns, measure } from '../lib/measure.mjs'
import { startLoad } from '../lib/processes.mjs'
import { hasRedis, WITHOUT_REDIS, withRedis } from '../lib/redis.mjs'
import { COUNTS, one, two, whole } from '../lib/report.mjs'
import { medianRow } from '../lib/statistics.mjs'
import { startWorkers } from '../lib/workers.mjs'

export const title = 'Several workers of one server'

const BYTES = 200
const WORKERS = [1, 2]
const JOBS = {
  targeted: {
    title: 'single requests, to one of 1,000 users each, 64 publishers in flight',
    streams: 1_000,
    what: { path: '/users/u#/events', payload: payloadOf(BYTES), users: 1_000, inFlight: 64, fanOut: 1 }
  },
  broadcast: {
    title: 'broadcasts to 1,000 streams, 16 publishers in flight',
    streams: 1_000,
    what: { path: '/broadcast', payload: payloadOf(BYTES), inFlight: 16, fanOut: 1_000, isPaced: true }
  },
  lines: {
    title: 'JSON lines, to one of 1,000 users each, 8 connections, 128 lines on their way',
    streams: 1_000,
    ask: 'publishLines',
    what: {
      ...{ path: '/events', users: 1_000, inFlight: 8, window: 128, fanOut: 1 },
      payload: JSON.stringify({ to: { users: ['u#'] }, data: markedText(BYTES) })
    }
  }
}

/** Server, Redis and load share the cores of the machine. */
function running({ streams, what, ask = 'publish' }, count, milliseconds) {
  return withRedis(async ({ url }) => {
    const started = []
    try {
      const hub = await startWorkers(count, url)
      started.push(hub)
      const load = await startLoad()
      started.push(load)
      await load.ask('open', { port: hub.port, count: streams, path: '/events?user=u#' })
      const all = { port: hub.port, ...what }
      await load.ask(ask, { ...all, milliseconds: milliseconds / 4 })
      const run = await measure(hub, load, () => load.ask(ask, { ...all, milliseconds }))
      const deliveries = run.published * what.fanOut
      return {
        ...run,
        workers: count,
        rate: deliveries / run.seconds,
        each: run.cpu / deliveries,
        isComplete: run.received === deliveries
      }
    } finally {
      await Promise.all(started.map(({ stop }) => stop()))
    }
  })
}

export async function run({ quick, say }) {
  if (!hasRedis() || process.platform !== 'linux') {
    say(hasRedis() ? 'left out: it needs /proc of Linux' : WITHOUT_REDIS)
    return { tables: [], targets: [] }
  }
  const tables = []
  for (const [name, job] of Object.entries(JOBS)) {
    say(name)
    const measured = await inTurns(WORKERS, quick ? 1 : 3, say, (count) => running(job, count, quick ? 1_500 : 4_000))
    tables.push({
      title: `${job.title}, ${BYTES} bytes`,
      columns: [
        { key: 'workers', title: 'workers', as: whole },
        { key: 'rate', title: 'deliveries/s', as: whole },
        { key: 'each', title: 'µs CPU each', as: one },
        { key: 'serverShare', title: 'server, cores', as: two },
        { key: 'loadShare', title: 'load, cores', as: two },
        { key: 'others', title: 'others, cores', as: two },
        COUNTS
      ],
      rows: measured.map(medianRow)
    })
  }
  return { tables, targets: [] }
}
