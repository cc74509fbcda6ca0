import { attempt } from '../lib/measure.mjs'
import { start } from '../lib/processes.mjs'
import { hasRedis, WITHOUT_REDIS, withRedis } from '../lib/redis.mjs'
import { atLeast, atMost, two, whole } from '../lib/report.mjs'

export const title = 'Two nodes over Redis'

const BYTES = 200
const RATE = 1_000
/** Concurrent appends, and events of each. */
const LOADS = [
  { inFlight: 1, batch: 1 },
  { inFlight: 500, batch: 1 },
  { inFlight: 16, batch: 100 }
]

/** Starts one node that appends, and another that tails. */
const withNodes = (work) =>
  withRedis(async ({ url }) => {
    const env = { BENCH_REDIS: url }
    const running = []
    try {
      running.push(await start('servers/redis-node.mjs', { env }))
      running.push(await start('servers/redis-node.mjs', { core: 1, env }))
      return await work(...running)
    } finally {
      await Promise.all(running.map(({ stop }) => stop()))
    }
  })

async function untilReceived(node, count) {
  for (let tries = 0; tries < 1_000; tries++) {
    if ((await node.ask('received')).received >= count) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const appending = (load, milliseconds) =>
  withNodes(async (one, two) => {
    const warm = await one.ask('append', { ...load, bytes: BYTES, milliseconds: milliseconds / 4 })
    await untilReceived(two, warm.appended)
    await two.ask('forget')
    const { appended, seconds } = await one.ask('append', { ...load, bytes: BYTES, milliseconds })
    await untilReceived(two, appended)
    const { received } = await two.ask('received')
    return { ...load, rate: appended / seconds, published: appended, received, isComplete: received === appended }
  })

const delivering = (milliseconds) =>
  withNodes(async (one, two) => {
    const warm = await one.ask('appendAt', { rate: RATE, bytes: BYTES, milliseconds: 1_000 })
    await untilReceived(two, warm.appended)
    await two.ask('forget')
    const { appended } = await one.ask('appendAt', { rate: RATE, bytes: BYTES, milliseconds })
    await untilReceived(two, appended)
    const latency = await two.ask('latency')
    return { rate: RATE, published: appended, ...latency, isComplete: latency.received === appended }
  })

export async function run({ quick, say }) {
  if (!hasRedis()) {
    say(WITHOUT_REDIS)
    return { tables: [], targets: [] }
  }
  const milliseconds = quick ? 1_500 : 5_000
  const rows = []
  for (const load of LOADS) {
    say(`${load.inFlight} in flight, batches of ${load.batch}`)
    rows.push(await attempt('hub', say, () => appending(load, milliseconds)))
  }
  say(`${whole(RATE)} a second`)
  const latency = await attempt('hub', say, () => delivering(milliseconds))
  const tables = [
    {
      title: `one node appends events of ${BYTES} bytes, the other tails them`,
      columns: [
        { key: 'inFlight', title: 'in flight', as: whole },
        { key: 'batch', title: 'events each', as: whole },
        { key: 'rate', title: 'appends/s', as: whole },
        { key: 'published', title: 'appended', as: whole },
        { key: 'received', title: 'received', as: whole }
      ],
      rows
    },
    {
      title: `from one node to the other, ${whole(RATE)} events a second`,
      columns: [
        { key: 'p50', title: 'p50 ms', as: two },
        { key: 'p99', title: 'p99 ms', as: two },
        { key: 'max', title: 'longest ms', as: two },
        { key: 'published', title: 'appended', as: whole },
        { key: 'received', title: 'received', as: whole }
      ],
      rows: [latency]
    }
  ]
  const targets = [
    atLeast('Redis: appends/s from one node, batched', rows[2].rate, 20_000, whole),
    atMost('Redis: publish to delivery on the other node, p99 in ms', latency.p99, 10, two)
  ]
  return { tables, targets }
}
