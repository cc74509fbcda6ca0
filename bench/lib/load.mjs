// The load: event sources and publishers in their own process, and on their own core, controlled over the process channel.
import { answerCommands } from './answering.mjs'
import { EventSources } from './event-sources.mjs'
import { publish, publishAt, publishLines } from './publishers.mjs'
import { now, sleep } from './time.mjs'

const sources = new EventSources()
let cutOff = []
let isEnough = false

/** Waits for the published events to arrive: `fanOut` deliveries for each. */
async function arrivals(begun, published, fanOut) {
  if (fanOut === 0) return { published, seconds: (now() - begun) / 1000 }
  await sources.settle(published * fanOut)
  const counts = sources.counts()
  return { published, ...counts, seconds: (counts.lastArrival - begun) / 1000 }
}

answerCommands(undefined, {
  open: (streams) => sources.open(streams),
  reset: ({ latencyEvery }) => {
    sources.reset(latencyEvery)
  },
  counts: () => sources.counts(),
  async settle({ expected }) {
    await sources.settle(expected)
    return sources.counts()
  },
  /**
   * Publishes as fast as answers arrive. With `isPaced` each publisher also waits until no more events are in flight than
   * there are publishers.
   */
  async publish({ fanOut, isPaced = false, latencyEvery, batch = 1, ...what }) {
    sources.reset(latencyEvery)
    const begun = now()
    const delivered = (published) => sources.arrived((published - what.inFlight + 1) * batch * fanOut)
    const published = await publish({ batch, ...what }, isPaced ? delivered : undefined)
    const publishing = (now() - begun) / 1000
    return { ...(await arrivals(begun, published * batch, fanOut)), publishing }
  },
  /** Publishes at a rate. */
  /** Publishes JSON lines, as fast as receipts arrive. */
  async publishLines({ fanOut, ...what }) {
    sources.reset()
    const begun = now()
    return arrivals(begun, await publishLines(what), fanOut)
  },
  async publishAt({ fanOut, latencyEvery, ...what }) {
    sources.reset(latencyEvery)
    const begun = now()
    isEnough = false
    const { published, lateness } = await publishAt(what, () => isEnough)
    return { ...(await arrivals(begun, published, fanOut)), lateness }
  },
  /** Ends `publishAt` early. */
  enough() {
    isEnough = true
  },
  /** Cuts all streams, and keeps their last event IDs. */
  cut() {
    cutOff = sources.cut()
  },
  /** Reopens all cut streams at once, each with `pending` events. */
  async reconnect({ pending, ...where }) {
    sources.reset()
    const begun = now()
    const count = cutOff.length
    const { seconds: connecting } = await sources.open({ count, batch: count, lastEventIds: cutOff, ...where })
    await sources.settle(count * pending)
    const counts = sources.counts()
    return { ...counts, connecting, seconds: (counts.lastArrival - begun) / 1000 }
  },
  /** Counts the events that arrive within `milliseconds`. */
  async listen({ milliseconds }) {
    sources.reset()
    await sleep(milliseconds)
    return { ...sources.counts(), seconds: milliseconds / 1000 }
  }
})
