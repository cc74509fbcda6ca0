import { markedText } from '../lib/event-sources.mjs'
import { inTurns, measure } from '../lib/measure.mjs'
import { LOOPS, OTHERS, PACKAGES, titleOf } from '../lib/peers.mjs'
import { withServer } from '../lib/processes.mjs'
import { atLeast, COUNTS, one, SHARES, times, whole } from '../lib/report.mjs'
import { requestsOf } from '../lib/requests.mjs'
import { medianRow } from '../lib/statistics.mjs'

export const title = 'Events to one user each'

const USERS = 10_000
const BYTES = 200
const IN_FLIGHT = 32
const VALIDATE = { validate: 'typebox', 'validate-ajv': 'ajv' }

/** `POST /users/:user/events` for all users in turn, each with one stream. Routes that only validate have no streams. */
function overHttp(server, milliseconds) {
  const validator = VALIDATE[server]
  return withServer(validator ? 'validate-only' : server, { BENCH_VALIDATOR: validator }, async (hub, load) => {
    const { userStream, toUser } = requestsOf(server)
    if (!validator) await load.ask('open', { port: hub.port, count: USERS, path: userStream })
    const what = {
      port: hub.port,
      inFlight: IN_FLIGHT,
      users: USERS,
      ...toUser(markedText(BYTES))
    }
    const fanOut = validator ? 0 : 1
    // Each user has an event before: Mercure compares a topic with all streams when it meets it first.
    await load.ask('publish', { ...what, fanOut, total: USERS })
    await load.ask('publish', { ...what, fanOut, milliseconds: milliseconds / 4 })
    await hub.ask('reset')
    const run = await measure(hub, load, () => load.ask('publish', { ...what, fanOut, milliseconds }))
    return { ...sends(run, run.published), isComplete: validator ? undefined : run.received === run.published }
  })
}

/** The same in process, as a route of a host would publish. */
function inProcess(server, milliseconds) {
  return withServer(server, {}, async (hub, load) => {
    await load.ask('open', { port: hub.port, count: USERS, path: '/events?user=u#' })
    const what = { users: USERS, text: markedText(BYTES).replace('@', '0'.repeat(20)) }
    await hub.ask('send', { ...what, milliseconds: milliseconds / 4 })
    await load.ask('settle', { expected: 0 })
    await hub.ask('reset')
    await load.ask('reset')
    const run = await measure(hub, load, () => hub.ask('send', { ...what, milliseconds }))
    const counts = await load.ask('settle', { expected: run.sent })
    const isComplete = counts.received === run.sent
    return { ...counts, ...sends({ ...run, cpu: run.sending }, run.sent), isComplete }
  })
}

const sends = (run, count) => ({ ...run, rate: count / run.seconds, each: run.cpu / count })

export async function run({ quick, say }) {
  const milliseconds = quick ? 1_000 : 3_000
  const rowsOf = async (servers, runs, measured) => (await inTurns(servers, runs, say, measured)).map(medianRow)
  say(`over HTTP, ${whole(USERS)} users`)
  const main = await rowsOf(['hub', 'validate'], quick ? 1 : 5, (server) => overHttp(server, milliseconds))
  const others = quick ? [] : ['validate-ajv', ...PACKAGES, ...LOOPS, ...OTHERS]
  const http = [...main, ...(await rowsOf(others, 1, (server) => overHttp(server, milliseconds)))]
  say(`in process, ${whole(USERS)} users`)
  const servers = quick ? ['hub'] : ['hub', ...PACKAGES, ...LOOPS]
  const inside = await rowsOf(servers, 1, (server) => inProcess(server, milliseconds))
  return {
    tables: [
      tableOf(
        `over HTTP: ${whole(USERS)} users, ${BYTES} bytes, ${IN_FLIGHT} publishers in flight`,
        'requests/s',
        http
      ),
      tableOf(`in process: ${whole(USERS)} users, ${BYTES} bytes, 100 sends a turn of the loop`, 'sends/s', inside)
    ],
    targets: [
      atLeast('events to one user over HTTP, to a route that only validates', http[0].rate / http[1].rate, 0.8, times)
    ]
  }
}

function tableOf(name, unit, rows) {
  const { rate } = rows[0]
  return {
    title: name,
    columns: [
      { key: 'server', title: 'server', as: titleOf },
      { key: 'rate', title: unit, as: whole },
      { key: 'hubIs', title: 'hub is', as: times },
      { key: 'each', title: 'µs CPU each', as: one },
      ...SHARES,
      COUNTS
    ],
    rows: rows.map((row) => ({ ...row, hubIs: rate / row.rate })),
    isThroughput: true
  }
}
