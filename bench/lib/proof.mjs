import { titleOf } from './peers.mjs'
import { share } from './report.mjs'
import { median } from './statistics.mjs'

/** A server that is asked for all it can give uses at least so much of its core; or somebody else did. */
const BUSY = 0.85
/** Who wants to know more than these runs the scenario alone. */
const LISTED = 8

/**
 * Whether the figures are of the servers: in what is measured in events a second, the server's core has to be busy, and the
 * load's must not be the busier one. And whether anybody else was using the machine.
 */
export function proofOf(tables) {
  const rates = tables
    .filter(({ isThroughput }) => isThroughput)
    .flatMap(({ title, rows }) => rows.map((row) => ({ ...row, title })))
    .filter(({ serverShare }) => serverShare !== undefined)
  const doubtful = rates.filter(({ serverShare, loadShare }) => serverShare < BUSY || loadShare > serverShare)
  const others = tables.flatMap(({ rows }) => rows.map((row) => row.others)).filter(Number.isFinite)
  const lines = []
  if (rates.length > 0) {
    const max = (rows) => share(Math.max(...rows.map(({ loadShare }) => loadShare)))
    const ofHub = rates.filter(({ server }) => server === 'hub')
    lines.push(
      `in what is measured in events a second, the load used at most ${max(rates)} of its core, for the hub ${ofHub.length > 0 ? max(ofHub) : 'nothing'}`
    )
    lines.push(`in ${rates.length - doubtful.length} of these ${rates.length} the server was the bottleneck`)
    for (const { server, title, serverShare, loadShare } of doubtful.slice(0, LISTED)) {
      lines.push(`  not for ${titleOf(server)}: server ${share(serverShare)}, load ${share(loadShare)}; ${title}`)
    }
    if (doubtful.length > LISTED) lines.push(`  nor in ${doubtful.length - LISTED} more`)
  }
  if (others.length > 0) {
    lines.push(`others used ${share(median(others))} of a core meanwhile, at most ${share(Math.max(...others))}`)
  }
  return lines.map((line) => `  ${line}`).join('\n')
}
