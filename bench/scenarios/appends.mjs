import { attempt } from '../lib/measure.mjs'
import { start } from '../lib/processes.mjs'
import { whole } from '../lib/report.mjs'

export const title = 'Publishing into a durable log'

const LOGS = [
  { name: 'memory', durability: '', one: 100_000, many: 200_000 },
  { name: 'embedded, process', durability: 'process', one: 10_000, many: 100_000 },
  { name: 'embedded, sync', durability: 'sync', one: 3_000, many: 50_000 }
]

async function publishing({ durability, one, many }, share) {
  const hub = await start('servers/appends.mjs', { env: { BENCH_DURABILITY: durability } })
  try {
    const { rate: single } = await hub.ask('publish', { count: one * share, inFlight: 1 })
    const { rate: hundred } = await hub.ask('publish', { count: many * share, inFlight: 100 })
    await hub.ask('end')
    return { single, hundred }
  } finally {
    await hub.stop()
  }
}

export async function run({ quick, say }) {
  const rows = []
  for (const log of LOGS) {
    say(log.name)
    rows.push({ name: log.name, ...(await attempt('hub', say, () => publishing(log, quick ? 0.2 : 1))) })
  }
  const table = {
    title: 'in process, 200 bytes to one user each, no streams',
    columns: [
      { key: 'name', title: 'log', as: (name) => name },
      { key: 'single', title: 'acknowledged/s, one at a time', as: whole },
      { key: 'hundred', title: '100 in flight', as: whole }
    ],
    rows
  }
  return { tables: [table], targets: [] }
}
