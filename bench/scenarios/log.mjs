import { attempt } from '../lib/measure.mjs'
import { start } from '../lib/processes.mjs'
import { times, two, whole } from '../lib/report.mjs'

export const title = 'Publishing by size of the history'

const PLENTY = 10_000_000
const ROOMY = { user: PLENTY, topic: PLENTY, everyone: PLENTY, bytes: 8_000_000_000, channelBytes: 8_000_000_000 }

/** Events retained before the measurement, and their users. At the last point each append evicts an event. */
const POINTS = [
  { name: 'few events', events: 1_000, users: 100 },
  { name: 'many events', events: 1_000_000, users: 100 },
  { name: 'few users', events: 100_000, users: 10 },
  { name: 'many users', events: 100_000, users: 100_000 },
  { name: 'at the bound', events: 100_000, users: 100, retention: { user: 1_000 } }
]

async function publishing({ events, users, retention = {} }, count) {
  const env = { BENCH_RETENTION: JSON.stringify({ ...ROOMY, ...retention }) }
  const hub = await start('servers/log.mjs', { execArgv: ['--expose-gc', '--max-old-space-size=8192'], env })
  try {
    const retained = await hub.ask('fill', { events, users })
    return { ...retained, users, ...(await hub.ask('publish', { count, users })) }
  } finally {
    await hub.stop()
  }
}

export async function run({ quick, say }) {
  const rows = []
  for (const point of POINTS) {
    say(`${whole(point.events)} events, ${whole(point.users)} users`)
    rows.push({ name: point.name, ...(await attempt('hub', say, () => publishing(point, quick ? 10_000 : 100_000))) })
  }
  const { median } = rows[0]
  const table = {
    title: 'in process, to one user each, no streams',
    columns: [
      { key: 'name', title: 'retained', as: (name) => name },
      { key: 'events', title: 'events', as: whole },
      { key: 'users', title: 'users', as: whole },
      { key: 'median', title: 'µs a publish', as: two },
      { key: 'toFirst', title: 'to the first', as: times },
      { key: 'cpu', title: 'µs CPU, with collections', as: two },
      { key: 'megabytes', title: 'MB resident', as: whole }
    ],
    rows: rows.map((row) => ({ ...row, toFirst: row.median / median }))
  }
  return { tables: [table], targets: [] }
}
