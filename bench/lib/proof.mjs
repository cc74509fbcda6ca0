import { titleOf } from './peers.mjs'
import { share } from './report.mjs'
import { median } from './statistics.mjs'

/** Minimal share of its core that a saturated server uses, unless other processes took it. */
const BUSY = 0.85
/** Maximum of listed rows. A run of a single scenario lists its own only. */
const LISTED = 8

/**
 * Whether the figures are those of the servers: where events a second are measured, the server's core must be busy, and
 * busier than that of the load. Also reports the CPU that other processes used.
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
      `where events a second are measured, the load used at most ${max(rates)} of its core, for the hub ${ofHub.length > 0 ? max(ofHub) : 'nothing'}`
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
