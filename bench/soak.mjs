// npm run soak [-- --minutes 20] [--streams 5000] [--rate 200] [--every 30] [--json FILE] [--no-build]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { prepare } from './lib/prepare.mjs'
import { startLoad, startServer } from './lib/processes.mjs'
import { one, tableOf, whole } from './lib/report.mjs'
import { median } from './lib/statistics.mjs'
import { sleep } from './lib/time.mjs'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    streams: { type: 'string', default: '5000' },
    rate: { type: 'string', default: '200' },
    every: { type: 'string', default: '30' },
    json: { type: 'string' },
    build: { type: 'boolean', default: true }
  },
  allowNegative: true
})
const minutes = Number(options.minutes)
const streams = Number(options.streams)
const rate = Number(options.rate)
const every = Number(options.every) * 1_000
const MIB = 1_048_576
/** A fiftieth of the streams is cut each second. */
const churned = Math.max(10, Math.round(streams / 50))
/** So small that it evicts within the first minutes: later growth is not history. */
const RETENTION = { bytes: 32 * MIB, channelBytes: 8 * MIB }
/** Factor of the memory after the first third, up to which memory counts as flat. */
const FLAT = 1.1

prepare(options)

/** Width of a column, because lines are printed one by one. */
const WIDTH = 10
const columns = [
  { key: 'at', title: 's', as: whole },
  { key: 'rss', title: 'MB resident', as: one },
  { key: 'heap', title: 'MB heap', as: one },
  { key: 'streams', title: 'streams', as: whole },
  { key: 'opened', title: 'opened', as: whole },
  { key: 'slow', title: 'closed slow', as: whole },
  { key: 'published', title: 'published', as: whole },
  { key: 'events', title: 'delivered', as: whole },
  { key: 'gaps', title: 'gaps', as: whole },
  { key: 'holes', title: 'holes', as: whole },
  { key: 'repeats', title: 'repeats', as: whole },
  { key: 'logged', title: 'MB log', as: one },
  { key: 'longest', title: 'stall ms', as: one }
].map((column) => ({ ...column, title: column.title.padStart(WIDTH) }))

const hub = await startServer('hub', { BENCH_RETENTION: JSON.stringify(RETENTION) })
const load = await startLoad('soak-load.mjs')
const samples = []
try {
  await hub.ask('reset')
  const before = await resources()
  await load.ask('open', { port: hub.port, count: streams })
  await hub.ask('reset')
  await load.ask('run', { port: hub.port, rate, churned })
  const begun = performance.now()
  print(
    `${whole(streams)} streams, ${whole(churned)} cut a second, ${whole(rate)} events a second, ${minutes} minutes\n`
  )
  while (performance.now() - begun < minutes * 60_000) {
    await sleep(every)
    samples.push(await sample((performance.now() - begun) / 1_000))
    print(
      `${tableOf(columns, samples.slice(-1))
        .split('\n')
        .slice(samples.length === 1 ? 0 : 2)
        .join('\n')}\n`
    )
  }
  await load.ask('leave')
  await sleep(3_000)
  await hub.ask('reset')
  conclude(before, await resources())
} finally {
  await Promise.all([hub.stop(), load.stop()])
}

async function resources() {
  const [{ heap, rss }, { active }, { streams: open, users, log }] = await Promise.all(
    ['usage', 'resources', 'stats'].map((call) => hub.ask(call))
  )
  return { heap, rss, active, open, users, log }
}

async function sample(at) {
  const [usage, stats, counts, { longest }] = await Promise.all([
    hub.ask('usage'),
    hub.ask('stats'),
    load.ask('counts'),
    hub.ask('stall')
  ])
  const { streams: open, opened, closed, log } = stats
  const memory = { rss: usage.rss / MIB, heap: usage.heap / MIB, logged: log.bytes / MIB }
  return { at, ...counts, ...memory, streams: open, opened, slow: closed.slow, longest }
}

function conclude(before, after) {
  const third = Math.ceil(samples.length / 3)
  const early = median(samples.slice(third, 2 * third).map(({ rss }) => rss))
  const late = median(samples.slice(-third).map(({ rss }) => rss))
  const { holes, repeats } = samples.at(-1)
  const left = Object.entries(after.active).filter(([kind, count]) => count > (before.active[kind] ?? 0))
  const checks = {
    'resident memory is flat': late <= early * FLAT,
    'no stream had a hole or a repetition': holes === 0 && repeats === 0,
    'no stream and no user is left': after.open === 0 && after.users === 0,
    'no socket and no timer is left': left.length === 0
  }
  print(`\nresident: ${one(early)} MB in the second third, ${one(late)} MB in the last\n`)
  print(`heap: ${one(before.heap / MIB)} MB before, ${one(after.heap / MIB)} MB after all have left, `)
  print(`of which the log accounts for ${one(after.log.bytes / MIB)} MB\n`)
  print(`resources before: ${JSON.stringify(before.active)}, after: ${JSON.stringify(after.active)}\n`)
  for (const [what, isSo] of Object.entries(checks)) print(`${isSo ? 'yes' : 'NO '}  ${what}\n`)
  if (options.json !== undefined) {
    writeFileSync(
      options.json,
      `${JSON.stringify({ minutes, streams, rate, samples, before, after, checks }, undefined, 2)}\n`
    )
  }
  if (Object.values(checks).includes(false)) process.exitCode = 1
}

function print(text) {
  process.stdout.write(text)
}
