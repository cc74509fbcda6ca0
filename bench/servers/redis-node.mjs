import { redisLog } from '../../dist/redis-hub.js'
import { answering } from '../lib/answering.mjs'
import { percentiles } from '../lib/statistics.mjs'

// One node of several over one Redis: the log alone, without streams.
const log = await redisLog({ url: process.env.BENCH_REDIS })
/** The same clock for all processes of the machine, in milliseconds. */
const now = () => performance.timeOrigin + performance.now()
let heard = 0
let latencies = []
await log.tail({
  onEvents(events) {
    const at = now()
    heard += events.length
    for (const { data } of events) if (data.startsWith('@')) latencies.push(at - Number.parseFloat(data.slice(1)))
  },
  onDiscontinuity() {
    throw new Error('the tail broke')
  }
})

let count = 0
const eventOf = (data) => ({
  channels: [`u:${count++ % 1_000}`],
  event: 'message',
  data,
  transient: false,
  final: false,
  streams: 0
})

answering(undefined, {
  /** So many at a time, each waiting for its answer, each with so many events. */
  async append({ inFlight, batch, bytes, milliseconds }) {
    const data = 'x'.repeat(bytes)
    const begun = performance.now()
    const until = begun + milliseconds
    let appended = 0
    const publish = async () => {
      while (performance.now() < until) {
        await log.append(Array.from({ length: batch }, () => eventOf(data)))
        appended += batch
      }
    }
    await Promise.all(Array.from({ length: inFlight }, publish))
    return { appended, seconds: (performance.now() - begun) / 1_000 }
  },
  /** So many a second, evenly, whatever becomes of them. */
  async appendAt({ rate, bytes, milliseconds }) {
    const begun = performance.now()
    let appended = 0
    const failures = []
    while (performance.now() < begun + milliseconds) {
      const due = ((performance.now() - begun) / 1_000) * rate
      for (; appended < due; appended++)
        log.append([eventOf(`@${now()} `.padEnd(bytes, 'x'))]).catch((error) => failures.push(error))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    if (failures.length > 0) throw failures[0]
    return { appended }
  },
  heard: () => ({ heard }),
  forget() {
    heard = 0
    latencies = []
    return {}
  },
  latency: () => ({ heard, ...percentiles(latencies) })
})
