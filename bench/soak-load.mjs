// The load of the soak: publishers, and streams that open, close, stall, and check their events.
import { answerCommands } from './lib/answering.mjs'
import { CheckingSource } from './lib/checking-source.mjs'
import { Publisher } from './lib/publishers.mjs'

const TOPICS = 50
/** Number of streams that also get large events and stall. Small events would fit into a kernel's buffers for hours. */
const BULKY = 100
const BULK = 'x'.repeat(65_536)
const SMALL = 'x'.repeat(150)
/** Of 200 events: for everyone, for the bulky streams, for a topic; the others are for one user. */
const SHARES = { everyone: 1, bulk: 5, topic: 74 }
const OF = 200
/** In milliseconds. */
const CUT_EVERY = 100
const STALL_EVERY = 5_000
const AWAY = 3_000
const STALLED = 60_000

const sources = []
const numbers = new Map()
let stopped = false
let published = 0

function sum(key) {
  return sources.reduce((total, source) => total + source[key], 0)
}

/** One event: its target, and data that begins with its kind and its number within the kind. */
function nextEvent(count) {
  const turn = count % OF
  const user = Math.floor(Math.random() * sources.length)
  const topic = Math.floor(Math.random() * TOPICS)
  if (turn < SHARES.everyone) return eventOf('everyone', '/broadcast', SMALL)
  if (turn < SHARES.everyone + SHARES.bulk) return eventOf('bulk', '/topics/bulk/events', BULK)
  if (turn < SHARES.everyone + SHARES.bulk + SHARES.topic)
    return eventOf(`t${topic}`, `/topics/t${topic}/events`, SMALL)
  return eventOf(`u${user}`, `/users/u${user}/events`, SMALL)
}

function eventOf(kind, path, filling) {
  const number = (numbers.get(kind) ?? 0) + 1
  numbers.set(kind, number)
  return { path, body: JSON.stringify({ data: `${kind} ${number} ${filling}` }) }
}

/** One publisher, which waits for each answer, so that events are published in the order of their numbers. */
async function keepPublishing(port, rate) {
  const publisher = await Publisher.open(port)
  const begun = performance.now()
  while (!stopped) {
    const due = ((performance.now() - begun) / 1_000) * rate
    while (published < due && !stopped) {
      const { path, body } = nextEvent(published++)
      await publisher.post(path, body)
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  publisher.close()
}

const oneOf = (list) => list[Math.floor(Math.random() * list.length)]

function churn(perSecond) {
  const cut = () => {
    for (let count = (perSecond * CUT_EVERY) / 1_000; count > 0; count--) {
      oneOf(sources).cut(Math.random() * AWAY, Math.random() < 0.1)
    }
  }
  const stall = () => {
    for (let count = BULKY / 10; count > 0; count--) oneOf(sources.slice(0, BULKY)).stall(Math.random() * STALLED)
  }
  return [setInterval(cut, CUT_EVERY), setInterval(stall, STALL_EVERY)]
}

let timers = []
let publishing

answerCommands(undefined, {
  async open({ port, count }) {
    for (let at = 0; at < count; at++) {
      const topics = at < BULKY ? `t${at % TOPICS},bulk` : `t${at % TOPICS}`
      const where = { port, path: `/events?user=u${at}&topics=${topics}`, localAddress: `127.0.0.${1 + (at % 200)}` }
      sources.push(new CheckingSource(where))
    }
    for (let at = 0; at < count; at += 200)
      await Promise.all(sources.slice(at, at + 200).map((source) => source.open()))
  },
  run({ port, rate, churned }) {
    publishing = keepPublishing(port, rate)
    publishing.catch((error) => process.stderr.write(`publishing ended: ${error.message}\n`))
    timers = churn(churned)
  },
  counts: () => ({
    published,
    events: sum('events'),
    holes: sum('holes'),
    repeats: sum('repeats'),
    gaps: sum('gaps')
  }),
  async leave() {
    stopped = true
    for (const timer of timers) clearInterval(timer)
    await publishing
    for (const source of sources) source.leave()
  }
})
