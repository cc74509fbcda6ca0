import { markedText } from '../lib/event-sources.mjs'
import { attempt, measure } from '../lib/measure.mjs'
import { withServer } from '../lib/processes.mjs'
import { atLeast, COUNTS, SHARES, times, two, whole } from '../lib/report.mjs'

export const title = 'A streaming publish: JSON lines over HTTP'

const USERS = 1_000
const BYTES = 200
const IN_FLIGHT = 8
/** Lines without a receipt on each connection; none for single requests. */
const WINDOWS = [undefined, 1, 16, 128]
/** Events a second, to single requests. */
const TARGET = 3

/** Events to one user each: one a request, or one a line. */
function lines(window, milliseconds) {
  return withServer('hub', {}, async (hub, load) => {
    await load.ask('open', { port: hub.port, count: USERS, path: '/events?user=u#' })
    const data = markedText(BYTES)
    const single = { path: '/users/u#/events', payload: JSON.stringify({ data }) }
    const line = { path: '/events', payload: JSON.stringify({ to: { users: ['u#'] }, data }), window }
    const what = { port: hub.port, inFlight: IN_FLIGHT, users: USERS, fanOut: 1, ...(window ? line : single) }
    const ask = window ? 'publishLines' : 'publish'
    await load.ask(ask, { ...what, milliseconds: milliseconds / 4 })
    const run = await measure(hub, load, () => load.ask(ask, { ...what, milliseconds }))
    const isComplete = run.received === run.published
    return { ...run, window, rate: run.published / run.seconds, each: run.cpu / run.published, isComplete }
  })
}

export async function run({ quick, say }) {
  const rows = []
  for (const window of WINDOWS) {
    say(window ? `${window} lines on their way` : 'single requests')
    rows.push(await attempt('hub', say, () => lines(window, quick ? 1_500 : 4_000)))
  }
  const { rate } = rows[0]
  const table = {
    title: `${whole(USERS)} users, ${BYTES} bytes, ${IN_FLIGHT} connections`,
    columns: [
      { key: 'window', title: 'lines on their way', as: whole },
      { key: 'rate', title: 'events/s', as: whole },
      { key: 'toSingle', title: 'to single', as: times },
      { key: 'each', title: 'µs CPU each', as: two },
      ...SHARES,
      COUNTS
    ],
    rows: rows.map((row) => ({ ...row, toSingle: row.rate / rate })),
    isThroughput: true
  }
  const best = rows.at(-1)
  return {
    tables: [table],
    targets: [atLeast('JSON lines: events/s, to single requests', best.rate / rate, TARGET, times)]
  }
}
