import { markedText } from '../lib/event-sources.mjs'
import { attempt } from '../lib/measure.mjs'
import { start, startLoad } from '../lib/processes.mjs'
import { hasRedis, WITHOUT_REDIS, withRedis } from '../lib/redis.mjs'
import { one, two, whole } from '../lib/report.mjs'
import { now, sleep } from '../lib/time.mjs'
import { cpuOf } from '../lib/usage.mjs'

export const title = 'A cluster, and a node that was suspended'

const TEXT = markedText(200).replace('@', '0'.repeat(20))
const RATE = 2_000
const NODES = [1, 2, 4, 8]
const STREAMS = 100
/** Events of a batch, streams on each node, and topics, to which events go in turn. Streams subscribe to the first. */
const LOADS = [
  { batch: 100, streams: 0, topics: 1_000 },
  { batch: 1, streams: 0, topics: 1_000 },
  { batch: 100, streams: STREAMS, topics: 1 }
]
/** Events to one user each: users of each node, events that each node sends to users of the next one, and how many at a time. */
const TARGETED = { users: 500, total: 15_000, inFlight: 100 }
/** Streams of one user each that open on one node at once. */
const OPENING = 4_000
/** Users a second to whom a node begins to listen. */
const CHURN = 2_000
/** The events that the suspended node has missed. */
const MISSED = { total: 100_000, inFlight: 16, batch: 100, topics: 1_000, text: TEXT }
/** A tail buffer that holds all of these events, and the default size. */
const TAILS = [64 * 2 ** 20, 16 * 2 ** 20]
/** Maximal wait for the last event, in milliseconds. */
const PATIENCE = 30_000

/** Starts a cluster: the first node on one core, the others on the second; the system chooses the core of Redis. */
const withNodes = (count, env, work) =>
  withRedis(async ({ url, pid }) => {
    const nodes = []
    try {
      for (let index = 0; index < count; index++) {
        nodes.push(
          await start('servers/hub-node.mjs', { core: index === 0 ? 0 : 1, env: { ...env, BENCH_REDIS: url } })
        )
      }
      return await work(nodes, pid)
    } finally {
      await Promise.all(nodes.map(({ stop }) => stop()))
    }
  })

async function untilReceived(nodes, count) {
  const end = now() + PATIENCE
  for (const node of nodes) {
    while (now() < end && (await node.ask('received')).received < count) await sleep(5)
  }
}

/** CPU that a node and Redis use meanwhile, in microseconds, and the result. */
async function using(node, redis, work) {
  const look = async () => [(await node.ask('usage')).cpu, cpuOf(redis)]
  const [nodeBefore, redisBefore] = await look()
  const result = await work()
  const [nodeAfter, redisAfter] = await look()
  return { result, node: nodeAfter - nodeBefore, redis: redisAfter - redisBefore }
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

/** The cost of an event for the publishing node, each other node, and Redis, at a low rate. */
function costing(count, { streams, ...load }, milliseconds) {
  return withNodes(count, {}, async (nodes, redis) => {
    const readers = streams > 0 ? await startLoad() : undefined
    try {
      for (const { port } of streams > 0 ? nodes : [])
        await readers.ask('open', { port, count: streams, path: '/events?user=u#&topics=t0' })
      const what = { ...load, rate: RATE, text: TEXT }
      const warm = await nodes[0].ask('publishAt', { ...what, milliseconds: 1_000 })
      const heard = streams > 0 ? 1 : 0
      await untilReceived(nodes, heard * warm.published)
      await readers?.ask('settle', { expected: warm.published * streams * count })
      await Promise.all(nodes.map((node) => node.ask('forget')))
      await readers?.ask('reset')
      const look = async () => [
        ...(await Promise.all(nodes.map((node) => node.ask('usage')))).map(({ cpu }) => cpu),
        cpuOf(redis)
      ]
      const idling = await look()
      await sleep(milliseconds)
      const before = await look()
      const { published } = await nodes[0].ask('publishAt', { ...what, milliseconds })
      await untilReceived(nodes, heard * published)
      const expected = published * streams * count
      const arrived = await readers?.ask('settle', { expected })
      const used = (await look()).map((cpu, index) => (cpu - before[index]) / published)
      const idle = mean(before.slice(1, count).map((cpu, index) => (cpu - idling[index + 1]) / published))
      const tails = await Promise.all(nodes.map((node) => node.ask('received')))
      const isComplete =
        tails.every(
          ({ received, wrong, discontinuities }) =>
            received === heard * published && wrong === 0 && discontinuities === 0
        ) &&
        (arrived === undefined ||
          (arrived.received === expected && arrived.min === published && arrived.max === published))
      const others = used.slice(1, count)
      return {
        nodes: count,
        batch: load.batch,
        streams,
        first: used[0],
        other: others.length > 0 ? mean(others) : undefined,
        added: others.length > 0 ? mean(others) - idle : undefined,
        redis: used[count],
        published,
        isComplete
      }
    } finally {
      await readers?.stop()
    }
  })
}

/** All nodes send events to one user each, who is on the next node. */
function targeting(count, total) {
  return withNodes(count, {}, async (nodes, redis) => {
    const usersOf = (index) => Array.from({ length: TARGETED.users }, (_, at) => `user-${index}-${at}`)
    await Promise.all(nodes.map((node, index) => node.ask('listenTo', { users: usersOf(index) })))
    const send = (events) =>
      Promise.all(
        nodes.map((node, index) =>
          node.ask('sendAll', { ...TARGETED, total: events, text: TEXT, users: usersOf((index + 1) % count) })
        )
      )
    await send(total / 5)
    await untilReceived(nodes, total / 5)
    await Promise.all(nodes.map((node) => node.ask('forget')))
    const before = cpuOf(redis)
    const begun = now()
    const sent = await send(total)
    await untilReceived(nodes, sent[0].sent)
    const seconds = (now() - begun) / 1_000
    const tails = await Promise.all(nodes.map((node) => node.ask('received')))
    const events = sent.reduce((sum, each) => sum + each.sent, 0)
    const received = tails.reduce((sum, each) => sum + each.received, 0)
    const isComplete =
      received === events && tails.every(({ wrong, discontinuities }) => wrong === 0 && discontinuities === 0)
    return { nodes: count, events, rate: events / seconds, redis: (cpuOf(redis) - before) / events, isComplete }
  })
}

/** Streams of as many users open at once on the last node. Then the first node sends an event to each. */
function opening(count) {
  return withNodes(count, {}, async (nodes, redis) => {
    const readers = await startLoad()
    try {
      const [first, last] = [nodes[0], nodes[count - 1]]
      const where = { port: last.port, path: '/events?user=u#' }
      const used = await using(last, redis, () => readers.ask('open', { ...where, count: OPENING, batch: OPENING }))
      await readers.ask('reset')
      const users = Array.from({ length: OPENING }, (_, at) => `u${at}`)
      await first.ask('sendAll', { total: OPENING, inFlight: TARGETED.inFlight, text: TEXT, users })
      const { received, min, max } = await readers.ask('settle', { expected: OPENING })
      const isComplete = received === OPENING && min === 1 && max === 1
      const { seconds } = used.result
      const each = { node: used.node / OPENING, redis: used.redis / OPENING }
      return { nodes: count, streams: OPENING, seconds, ...each, isComplete }
    } finally {
      await readers.stop()
    }
  })
}

/** A node begins to listen to users all the time. Then another node sends an event to each of those that it still listens to. */
function churning(milliseconds) {
  return withNodes(2, {}, async ([here, away], redis) => {
    const used = await using(away, redis, () => away.ask('churn', { rate: CHURN, milliseconds }))
    const { changed, stay } = used.result
    await away.ask('forget')
    const { sent } = await here.ask('sendAll', {
      total: stay.length,
      inFlight: TARGETED.inFlight,
      text: TEXT,
      users: stay
    })
    await untilReceived([away], sent)
    const { received, wrong, discontinuities } = await away.ask('received')
    const isComplete = received === sent && wrong === 0 && discontinuities === 0
    return { changed, node: used.node / changed, redis: used.redis / changed, sent, isComplete }
  })
}

/** Suspends a node while another publishes, and measures how it catches up. */
function catchingUp(tailBytes, total) {
  return withNodes(2, { BENCH_ALL: 'true', BENCH_TAIL_BYTES: String(tailBytes) }, async ([here, away]) => {
    const warm = await here.ask('publishAll', { ...MISSED, total: 10_000 })
    await untilReceived([here, away], warm.published)
    await Promise.all([here, away].map((node) => node.ask('forget')))
    process.kill(away.pid, 'SIGSTOP')
    const { published, seconds: publishing } = await here.ask('publishAll', { ...MISSED, total })
    await untilReceived([here], published)
    const { last } = await here.ask('received')
    const begun = now()
    process.kill(away.pid, 'SIGCONT')
    const end = begun + PATIENCE
    let tail = await away.ask('received')
    while (tail.last < last && now() < end) {
      await sleep(5)
      tail = await away.ask('received')
    }
    const { received, wrong, discontinuities, lastAt } = tail
    const seconds = (lastAt - begun) / 1_000
    // Either all events, each once, or a reported discontinuity, after which streams read history.
    const isComplete = tail.last === last && wrong === 0 && (discontinuities > 0 || received === published)
    const rate = discontinuities === 0 ? received / seconds : undefined
    return {
      tail: tailBytes / 2 ** 20,
      published,
      publishing,
      received,
      wrong,
      discontinuities,
      seconds,
      rate,
      isComplete
    }
  })
}

export async function run({ quick, say }) {
  if (!hasRedis() || process.platform !== 'linux') {
    say(hasRedis() ? 'left out: it needs /proc of Linux' : WITHOUT_REDIS)
    return { tables: [], targets: [] }
  }
  const costs = []
  for (const load of LOADS) {
    for (const count of NODES) {
      say(`${count} nodes, batches of ${load.batch}, ${load.streams} streams on each`)
      costs.push(await attempt('hub', say, () => costing(count, load, quick ? 1_500 : 4_000)))
    }
  }
  const targeted = []
  for (const count of NODES) {
    say(`${count} nodes, events to one user each`)
    targeted.push(await attempt('hub', say, () => targeting(count, (quick ? 1 : 4) * TARGETED.total)))
  }
  const openings = []
  for (const count of NODES) {
    say(`${count} nodes, ${whole(OPENING)} streams open at once`)
    openings.push(await attempt('hub', say, () => opening(count)))
  }
  say('a node that begins to listen to users all the time')
  const churns = [await attempt('hub', say, () => churning(quick ? 2_000 : 8_000))]
  const returns = []
  for (const tailBytes of TAILS) {
    say(`a node that was suspended, tail of ${tailBytes / 2 ** 20} MiB`)
    returns.push(await attempt('hub', say, () => catchingUp(tailBytes, MISSED.total)))
  }
  const yes = { key: 'isComplete', title: 'all, once', as: (isComplete) => (isComplete ? 'yes' : 'NO') }
  return {
    tables: [
      {
        title: `${whole(RATE)} events a second from one node, 200 bytes: µs CPU an event`,
        columns: [
          { key: 'nodes', title: 'nodes', as: whole },
          { key: 'batch', title: 'events each', as: whole },
          { key: 'streams', title: 'streams a node', as: whole },
          { key: 'first', title: 'publishing node', as: one },
          { key: 'other', title: 'each other node', as: one },
          { key: 'added', title: 'without idling', as: one },
          { key: 'redis', title: 'Redis', as: one },
          { key: 'published', title: 'published', as: whole },
          yes
        ],
        rows: costs
      },
      {
        title: 'events of 200 bytes, one by one, from every node to a user on the next one, without sockets',
        columns: [
          { key: 'nodes', title: 'nodes', as: whole },
          { key: 'events', title: 'events', as: whole },
          { key: 'rate', title: 'events/s', as: whole },
          { key: 'redis', title: 'µs of Redis an event', as: one },
          yes
        ],
        rows: targeted
      },
      {
        title: 'streams of as many users open at once on one node; then another node sends an event to each',
        columns: [
          { key: 'nodes', title: 'nodes', as: whole },
          { key: 'streams', title: 'streams', as: whole },
          { key: 'seconds', title: 's until open', as: two },
          { key: 'node', title: 'µs CPU a stream', as: one },
          { key: 'redis', title: 'of Redis', as: one },
          yes
        ],
        rows: openings
      },
      {
        title: `a node begins to listen to ${whole(CHURN)} users a second, and ends half of that; then another node sends to the rest`,
        columns: [
          { key: 'changed', title: 'users', as: whole },
          { key: 'node', title: 'µs CPU a user', as: one },
          { key: 'redis', title: 'of Redis', as: one },
          { key: 'sent', title: 'sent', as: whole },
          yes
        ],
        rows: churns
      },
      {
        title: 'a node that was suspended while another published',
        columns: [
          { key: 'tail', title: 'tail, MiB', as: whole },
          { key: 'published', title: 'published', as: whole },
          { key: 'publishing', title: 'in s', as: two },
          { key: 'received', title: 'dispatched', as: whole },
          { key: 'wrong', title: 'out of order', as: whole },
          { key: 'discontinuities', title: 'discontinuities', as: whole },
          { key: 'seconds', title: 'live after s', as: two },
          { key: 'rate', title: 'events/s', as: whole },
          yes
        ],
        rows: returns
      }
    ],
    targets: []
  }
}
