import { redisLog } from '../../dist/redis-hub.js'
import { answerCommands } from '../lib/answering.mjs'
import { percentiles } from '../lib/statistics.mjs'

// One node of a cluster over one Redis: the log alone, without streams.
const log = await redisLog({ url: process.env.BENCH_REDIS })
/** A clock that all processes of the machine share, in milliseconds. */
const now = () => performance.timeOrigin + performance.now()
let received = 0
let latencies = []
await log.tail({
  onEvents(events) {
    const at = now()
    received += events.length
    for (const { data } of events) if (data.startsWith('@')) latencies.push(at - Number.parseFloat(data.slice(1)))
  },
  onDiscontinuity() {
    throw new Error('the tail had a discontinuity')
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

answerCommands(undefined, {
  /** Appends batches, `inFlight` at a time, each waiting for its answer. */
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
  /** Appends `rate` events a second, evenly, without waiting for answers. */
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
  received: () => ({ received }),
  forget() {
    received = 0
    latencies = []
    return {}
  },
  latency: () => ({ received, ...percentiles(latencies) })
})
