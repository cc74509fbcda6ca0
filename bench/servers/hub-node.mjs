import Fastify from 'fastify'
import sseHub, { hubRoutes } from '../../dist/index.js'
import { redisHub } from '../../dist/redis-hub.js'
import { now, sleep } from '../lib/time.mjs'
import { serve } from './control.mjs'

// One node of a cluster over one Redis. Beside the hub it counts the events that its tail dispatches: those that the node is
// interested in, or all events.
const byInterest = process.env.BENCH_ALL === undefined
const tailBytes = process.env.BENCH_TAIL_BYTES && Number(process.env.BENCH_TAIL_BYTES)
const { log, cluster } = await redisHub({ url: process.env.BENCH_REDIS, tailBytes: tailBytes || undefined })
const app = Fastify()
await app.register(sseHub, {
  log,
  cluster,
  maxStreamsPerUser: 0,
  paceConnections: true,
  authenticate: ({ query }) => ({ user: query.user }),
  authorizeTopic: () => true
})
await app.register(hubRoutes, { authorize: () => true })
await app.ready()

let counters
let last
function forget() {
  counters = { received: 0, wrong: 0, discontinuities: 0, lastAt: 0 }
}
forget()
const listener = {
  onEvents(events) {
    for (const { cursor } of events) {
      // Consecutive numbers of one sequence: the next one shows a hole or a duplicate. Of some events, a duplicate.
      if (byInterest ? cursor.seq <= last : cursor.seq !== last + 1) counters.wrong++
      last = cursor.seq
    }
    counters.received += events.length
    counters.lastAt = now()
  },
  onDiscontinuity(to) {
    counters.discontinuities++
    counters.lastAt = now()
    last = to.seq
  }
}
const { position, interest } = await log.tail(listener, { byInterest })
last = position.seq

let count = 0
const batchOf = (batch, text, topics) =>
  Array.from({ length: batch }, () => ({ to: { topics: [`t${count++ % topics}`] }, data: text }))

await serve(app, (user, data) => app.sse.send(user, { data }), {
  /** Publishes `rate` events a second, evenly, in batches. */
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
  /** Publishes `total` events with `inFlight` batches at a time. */
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
  /** Publishes `total` events one by one, with `inFlight` at a time, each to one of the users. */
  async sendAll({ total, inFlight, text, users }) {
    let sent = 0
    const publisher = async () => {
      while (sent < total) await app.sse.send(users[sent++ % users.length], { data: text })
    }
    const begun = now()
    await Promise.all(Array.from({ length: inFlight }, publisher))
    return { sent, seconds: (now() - begun) / 1_000 }
  },
  /** The node is interested in the events of these users, as if it had their streams. */
  async listenTo({ users }) {
    await interest.add(users.map((user) => `u:${user}`))
    return {}
  },
  /** Begins to listen to `rate` further users a second, evenly, and ends half of that at once. Returns who stay. */
  async churn({ rate, milliseconds }) {
    const begun = now()
    const stay = []
    const added = []
    while (now() < begun + milliseconds) {
      const due = ((now() - begun) / 1_000) * rate
      while (added.length < due) {
        const user = `churn-${added.length}`
        added.push(interest.add([`u:${user}`]))
        if (added.length % 2 === 0) interest.delete([`u:${user}`])
        else stay.push(user)
      }
      await sleep(1)
    }
    await Promise.all(added)
    return { changed: added.length, stay }
  },
  received: () => ({ ...counters, last }),
  forget() {
    forget()
    return {}
  }
})
