import { payloadOf } from '../lib/event-sources.mjs'
import { inTurns, measure } from '../lib/measure.mjs'
import { NCHAN, titleOf } from '../lib/peers.mjs'
import { startLoad, withServer } from '../lib/processes.mjs'
import { atLeast, atMost, COUNTS, one, SHARES, times, two, whole } from '../lib/report.mjs'
import { medianRow } from '../lib/statistics.mjs'

export const title = 'A storm of returning streams'

const RETURNING = 5_000
const PENDING = 100
const LIVE = 500
/** Events a second for the live streams. */
const RATE = 50
const BYTES = 200

/**
 * Streams are cut, miss some events, and return all at once, while others are live and get an event every 20 ms. Another
 * process reads the live ones, so that replayed events do not delay its clock.
 */
async function storm(server, { idle }) {
  return withServer(server, {}, async (hub, load) => {
    const live = await startLoad()
    try {
      const { port } = hub
      const payload = payloadOf(BYTES)
      const toAll = { port, path: '/broadcast', payload, inFlight: 1 }
      const toLive = { port, path: '/topics/live/events', payload, rate: RATE, fanOut: LIVE, latencyEvery: 1 }
      await load.ask('open', { port, count: RETURNING, path: '/events?user=u#', remembers: true })
      await load.ask('publish', { ...toAll, total: 1, fanOut: RETURNING })
      await load.ask('cut')
      await load.ask('publish', { ...toAll, total: PENDING, fanOut: 0 })
      await live.ask('open', { port, count: LIVE, path: '/events?user=l#&topics=live&only=live' })
      await live.ask('publishAt', { ...toLive, milliseconds: 500 })
      const before = await live.ask('publishAt', { ...toLive, milliseconds: idle })
      const during = live.ask('publishAt', { ...toLive, milliseconds: 60_000 })
      const back = await measure(hub, load, () =>
        load.ask('reconnect', { port, pending: PENDING, path: '/events?user=u#' })
      )
      await live.ask('enough')
      return rowOf(back, before, await during)
    } finally {
      await live.stop()
    }
  })
}

function rowOf(back, before, during) {
  const isLiveComplete = during.min === during.published && during.max === during.published
  return {
    ...back,
    rate: back.received / back.seconds,
    each: back.cpu / RETURNING,
    idle: before.latency.p99,
    live: during.latency.p99,
    slowed: during.latency.p99 / before.latency.p99,
    isComplete: back.min === PENDING && back.max === PENDING && isLiveComplete
  }
}

export async function run({ quick, say }) {
  const servers = quick ? ['hub'] : ['hub', ...NCHAN]
  const measured = await inTurns(servers, quick ? 1 : 3, say, (server) =>
    storm(server, { idle: quick ? 1_500 : 4_000 })
  )
  const rows = measured.map(medianRow)
  const table = {
    title: `${whole(RETURNING)} streams return at once, each with ${PENDING} pending events; ${LIVE} are live`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'rate', title: 'replayed/s', as: whole },
      { key: 'connecting', title: 's until open', as: two },
      { key: 'seconds', title: 's until live', as: two },
      { key: 'each', title: 'µs CPU a stream', as: one },
      { key: 'idle', title: 'live p99 before', as: one },
      { key: 'live', title: 'live p99 during', as: one },
      { key: 'slowed', title: '', as: times },
      ...SHARES,
      COUNTS
    ],
    rows,
    isThroughput: true
  }
  const [{ rate, slowed }] = rows
  return {
    tables: [table],
    targets: [
      atLeast('return storm: replayed events/s', rate, 300_000, whole),
      atMost('return storm: p99 of live streams, to its idle figure', slowed, 5, times)
    ]
  }
}
