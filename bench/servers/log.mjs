import Fastify from 'fastify'
import sseHub from '../../dist/index.js'
import { answerCommands } from '../lib/answering.mjs'
import { median } from '../lib/statistics.mjs'

// A hub without streams: the cost of publishing into a history.
const BATCH = 1_000
const data = 'x'.repeat(100)

const app = Fastify()
await app.register(sseHub, { retention: JSON.parse(process.env.BENCH_RETENTION ?? '{}') })
await app.ready()

answerCommands(undefined, {
  async fill({ events, users }) {
    for (let at = 0; at < events; at += BATCH) {
      const drafts = Array.from({ length: Math.min(BATCH, events - at) }, (_, index) => ({
        to: { users: [`u${(at + index) % users}`] },
        data
      }))
      await app.sse.publishBatch(drafts)
    }
    globalThis.gc?.()
    return { events: app.sse.stats().log.events, megabytes: process.memoryUsage().rss / 1_048_576 }
  },
  /** Microseconds of a publish: the median over many rounds, which excludes outliers, and the total CPU. */
  async publish({ count, users }) {
    const rounds = []
    let sent = 0
    const publishRound = async () => {
      const begun = performance.now()
      for (let at = 0; at < BATCH; at++) await app.sse.send(`u${sent++ % users}`, { data })
      rounds.push(((performance.now() - begun) / BATCH) * 1_000)
    }
    for (let warm = 0; warm < 5; warm++) await publishRound()
    rounds.length = 0
    const before = process.cpuUsage()
    while (rounds.length < count / BATCH) await publishRound()
    const { user, system } = process.cpuUsage(before)
    return { median: median(rounds), cpu: (user + system) / count }
  }
})
