import Fastify from 'fastify'
import sseHub, { hubRoutes } from '../../dist/index.js'
import { redisHub } from '../../dist/redis-hub.js'
import { now, sleep } from '../lib/time.mjs'
import { serve } from './control.mjs'

// One node of several that are one hub over one Redis. It counts what its tail hands over, beside the hub.
const tailBytes = process.env.BENCH_TAIL_BYTES && Number(process.env.BENCH_TAIL_BYTES)
const { log, nodes } = await redisHub({ url: process.env.BENCH_REDIS, tailBytes: tailBytes || undefined })
const app = Fastify()
await app.register(sseHub, {
  log,
  nodes,
  maxStreamsPerUser: 0,
  paceConnections: true,
  authenticate: ({ query }) => ({ user: query.user }),
  authorizeTopic: () => true
})
await app.register(hubRoutes, { authorize: () => true })
await app.ready()

let heard
let last
function forget() {
  heard = { heard: 0, wrong: 0, breaks: 0, lastAt: 0 }
}
forget()
const { position } = await log.tail({
  onEvents(events) {
    for (const { cursor } of events) {
      // Numbers of one sequence: what is missing or double shows in the next one.
      if (cursor.seq !== last + 1) heard.wrong++
      last = cursor.seq
    }
    heard.heard += events.length
    heard.lastAt = now()
  },
  onDiscontinuity(to) {
    heard.breaks++
    heard.lastAt = now()
    last = to.seq
  }
})
last = position.seq

let count = 0
const batchOf = (batch, text, topics) =>
  Array.from({ length: batch }, () => ({ to: { topics: [`t${count++ % topics}`] }, data: text }))

await serve(app, (user, data) => app.sse.send(user, { data }), {
  /** So many events a second, evenly, in batches. */
  async publishAt({ rate, batch, text, topics, milliseconds }) {
    const begun = now()
    const sent = []
    while (now() < begun + milliseconds) {
      const due = ((now() - begun) / 1_000) * rate
      while (sent.length * batch < due) sent.push(app.sse.publishBatch(batchOf(batch, text, topics)))
      await sleep(1)
    }
    await Promise.all(sent)
    return { published: sent.length * batch }
  },
  /** So many events, some batches at a time. */
  async publishAll({ total, inFlight, batch, text, topics }) {
    let published = 0
    const publisher = async () => {
      while (published < total) {
        published += batch
        await app.sse.publishBatch(batchOf(batch, text, topics))
      }
    }
    const begun = now()
    await Promise.all(Array.from({ length: inFlight }, publisher))
    return { published, seconds: (now() - begun) / 1_000 }
  },
  heard: () => ({ ...heard, last }),
  forget() {
    forget()
    return {}
  }
})
