import { titleOf } from './peers.mjs'
import { share } from './report.mjs'

/** A server that is asked for all it can give uses at least so much of its core; or somebody else did. */
const BUSY = 0.85

/**
 * Whether the figures are of the servers: in what is measured in events a second, the server's core has to be busy, and the
 * load's must not be the busier one.
 */
export function proofOf(tables) {
  const rows = tables
    .filter(({ isThroughput }) => isThroughput)
    .flatMap((table) => table.rows.map((row) => ({ ...row, table: table.title })))
    .filter(({ serverShare }) => serverShare !== undefined)
  if (rows.length === 0) return '  Nothing that was measured is a rate.'
  const doubtful = rows.filter(({ serverShare, loadShare }) => serverShare < BUSY || loadShare > serverShare)
  const busiest = Math.max(...rows.map(({ loadShare }) => loadShare))
  const hub = rows.filter(({ server }) => server === 'hub').map(({ loadShare }) => loadShare)
  const head = `  The load used at most ${share(busiest)} of its core, and ${share(Math.max(...hub))} for the hub.`
  if (doubtful.length === 0)
    return `${head} In every rate the server was the bottleneck: its core was at least ${share(BUSY)} busy.`
  const list = doubtful.map(
    ({ server, table, serverShare, loadShare }) =>
      `    ${titleOf(server)}: server ${share(serverShare)}, load ${share(loadShare)} (${table})`
  )
  return `${head} In these rates the server was not the bottleneck (below ${share(BUSY)}, or less busy than the load):\n${list.join('\n')}`
}
