import { markedText } from '../lib/event-sources.mjs'
import { attempt, measure } from '../lib/measure.mjs'
import { withServer } from '../lib/processes.mjs'
import { COUNTS, SHARES, times, two, whole } from '../lib/report.mjs'

export const title = 'Batches over HTTP'

const USERS = 1_000
const BYTES = 200
const IN_FLIGHT = 8

/** `POST /events` with `batch` events, each to one user; for a batch of one, `POST /users/:user/events`. */
function batches(batch, milliseconds) {
  return withServer('hub', {}, async (hub, load) => {
    await load.ask('open', { port: hub.port, count: USERS, path: '/events?user=u#' })
    const data = markedText(BYTES)
    const what = {
      port: hub.port,
      inFlight: IN_FLIGHT,
      users: USERS,
      batch,
      fanOut: 1,
      path: batch === 1 ? '/users/u#/events' : '/events',
      payload: JSON.stringify(batch === 1 ? { data } : { to: { users: ['u#'] }, data })
    }
    await load.ask('publish', { ...what, milliseconds: milliseconds / 4 })
    const run = await measure(hub, load, () => load.ask('publish', { ...what, milliseconds }))
    const isComplete = run.received === run.published
    return { ...run, batch, rate: run.published / run.seconds, each: run.cpu / run.published, isComplete }
  })
}

export async function run({ quick, say }) {
  const rows = []
  for (const batch of quick ? [1, 100] : [1, 10, 100, 1_000]) {
    say(`batches of ${batch}`)
    rows.push(await attempt('hub', say, () => batches(batch, quick ? 1_000 : 3_000)))
  }
  const { rate } = rows[0]
  const table = {
    title: `${whole(USERS)} users, ${BYTES} bytes, ${IN_FLIGHT} publishers in flight`,
    columns: [
      { key: 'batch', title: 'events a request', as: whole },
      { key: 'rate', title: 'events/s', as: whole },
      { key: 'toSingle', title: 'to single', as: times },
      { key: 'each', title: 'µs CPU each', as: two },
      ...SHARES,
      COUNTS
    ],
    rows: rows.map((row) => ({ ...row, toSingle: row.rate / rate })),
    isThroughput: true
  }
  return { tables: [table], targets: [] }
}
