import { payloadOf } from '../lib/event-sources.mjs'
import { inTurns } from '../lib/measure.mjs'
import { LOOPS, PACKAGES, titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { atMost, COUNTS, mustBe, one, whole } from '../lib/report.mjs'
import { medianRow } from '../lib/statistics.mjs'
import { sleep } from '../lib/time.mjs'

export const title = 'Readers that stopped reading'

const READERS = 1_000
const STOPPED = 100
const BYTES = 65_536
const RATE = 10
/** More than any history holds, so that what the history weighs is there before. */
const HISTORY = 300
const MIB = 1_048_576

async function stalled(server, { events }) {
  return withServer(server, {}, async (hub, load) => {
    const { port } = hub
    const what = { port, path: '/broadcast', payload: payloadOf(BYTES) }
    await load.ask('publish', { ...what, inFlight: 2, total: HISTORY, fanOut: 0 })
    await load.ask('open', { port, count: READERS, path: '/events?user=r#' })
    await load.ask('publish', { ...what, inFlight: 1, isPaced: true, total: RATE, fanOut: READERS })
    await load.ask('open', { port, count: STOPPED, from: READERS, path: '/events?user=s#', slow: true })
    await hub.ask('reset')
    const before = await hub.ask('usage')
    const publishing = load.ask('publishAt', {
      ...what,
      rate: RATE,
      milliseconds: (events / RATE) * 1_000,
      fanOut: READERS
    })
    const peak = await peakUntil(publishing, hub)
    const run = await publishing
    await hub.ask('reset')
    const after = await hub.ask('usage')
    return {
      ...run,
      peak: (peak - before.rss) / MIB,
      rest: (after.rss - before.rss) / MIB,
      isComplete: run.least === run.published && run.most === run.published
    }
  })
}

/** The most resident memory that a server had until something was done. */
async function peakUntil(done, server) {
  let isDone = false
  const finished = () => {
    isDone = true
  }
  done.then(finished, finished)
  let peak = 0
  while (!isDone) {
    const { rss } = await server.ask('usage')
    peak = Math.max(peak, rss)
    await sleep(50)
  }
  return peak
}

export async function run({ quick, say }) {
  const events = quick ? 30 : 150
  const servers = quick ? ['hub'] : ['hub', ...PACKAGES, ...LOOPS]
  const rows = (await inTurns(servers, 1, say, (server) => stalled(server, { events }))).map(medianRow)
  const table = {
    title: `${whole(READERS)} read, ${STOPPED} do not; ${events} events of ${BYTES / 1024} KB, ${RATE} a second`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'peak', title: 'MB grown, at most', as: one },
      { key: 'rest', title: 'MB after a collection', as: one },
      { ...COUNTS, title: 'readers got all' }
    ],
    rows
  }
  const [{ peak, isComplete }] = rows
  return {
    tables: [table],
    targets: [
      atMost('stalled readers: MB of resident growth', peak, 20, one),
      mustBe('stalled readers: the others lose nothing', isComplete === true)
    ]
  }
}
