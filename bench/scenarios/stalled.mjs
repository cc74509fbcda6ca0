import { payloadOf } from '../lib/event-sources.mjs'
import { inTurns } from '../lib/measure.mjs'
import { LOOPS, PACKAGES, titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { atMost, COUNTS, mustBe, one, whole } from '../lib/report.mjs'
import { medianRow } from '../lib/statistics.mjs'
import { sleep } from '../lib/time.mjs'

export const title = 'Readers that stop reading'

const READERS = 1_000
const STOPPED = 100
const BYTES = 65_536
const RATE = 20
/** The kernel buffers some 60 of these for an unread socket; only then does the server have pending bytes. */
const EVENTS = { quick: 80, full: 200 }
/** More than a history retains, so that its memory is allocated before the measurement. */
const HISTORY = 300
const MIB = 1_048_576

/**
 * Publishes the same events twice: to readers alone, and then with stalled ones. The growth is the difference of the two
 * peaks, which have the same amount of garbage.
 */
async function stalled(server, { events }) {
  return withServer(server, {}, async (hub, load) => {
    const { port } = hub
    const what = { port, path: '/broadcast', payload: payloadOf(BYTES) }
    const traffic = async () => {
      const publishing = load.ask('publishAt', {
        ...what,
        rate: RATE,
        milliseconds: (events / RATE) * 1_000,
        fanOut: READERS
      })
      const peak = await peakUntil(publishing, hub)
      await hub.ask('reset')
      return { ...(await publishing), peak }
    }
    await load.ask('publish', { ...what, inFlight: 2, total: HISTORY, fanOut: 0 })
    await load.ask('open', { port, count: READERS, path: '/events?user=r#' })
    const calm = await traffic()
    await load.ask('open', { port, count: STOPPED, from: READERS, path: '/events?user=s#', slow: true })
    const run = await traffic()
    return {
      ...run,
      peak: (run.peak - calm.peak) / MIB,
      isComplete: run.min === run.published && run.max === run.published
    }
  })
}

/** The peak of a server's resident memory until `done` resolves. */
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
  const events = quick ? EVENTS.quick : EVENTS.full
  const servers = quick ? ['hub'] : ['hub', ...PACKAGES, ...LOOPS]
  const rows = (await inTurns(servers, 1, say, (server) => stalled(server, { events }))).map(medianRow)
  const table = {
    title: `${whole(READERS)} read, ${STOPPED} do not; ${events} events of ${BYTES / 1024} KB, ${RATE} a second`,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'peak', title: 'MB grown', as: one },
      { ...COUNTS, title: 'readers complete' }
    ],
    rows
  }
  const [{ peak, isComplete }] = rows
  return {
    tables: [table],
    targets: [
      atMost('stalled readers: MB of resident growth', peak, 20, one),
      mustBe('stalled readers: other readers lose nothing', isComplete === true)
    ]
  }
}
