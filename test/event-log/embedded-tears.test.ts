import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { NODE_COMMAND } from '../support/node-command.ts'

// A loss of power leaves the file truncated, or with pages or sectors that are zeros, older, or others.

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
const ROUNDS = Number(process.env.TEARS ?? 150)
const CHILD = join(import.meta.dirname, '..', 'support', 'torn-store-child.ts')

t.setTimeout(60_000 + ROUNDS * 400)
t.comment(`TEST_SEED=${SEED} TEARS=${ROUNDS}`)

interface Round {
  readonly round: number
  readonly kind: string
  readonly outcome?: string
  readonly faults?: string[]
}

t.test("a torn store is refused, or shows each user a consistent part of the user's own events", async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'embedded-tears-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const [node = '', ...args] = NODE_COMMAND
  const child = spawn(node, [...args, CHILD, home, `${SEED}`, `${ROUNDS}`], {
    cwd: join(import.meta.dirname, '..', '..'),
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const counts: Record<string, number> = {}
  const faults: Round[] = []
  let last: string | undefined
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => {
    last = line
    if (!line.startsWith('{')) return
    const round = JSON.parse(line) as Round
    if (round.outcome === undefined) return
    const what = `${round.kind}: ${round.outcome}`
    counts[what] = (counts[what] ?? 0) + 1
    if (round.faults?.length !== 0) faults.push(round)
  })
  const [[code, signal]] = await Promise.all([once(child, 'close'), once(lines, 'close')])
  t.comment(JSON.stringify(counts))
  t.same([code, signal, last], [0, null, 'done'], `no store ends the process; the last was ${last}`)
  t.same(faults, [])
  const outcomes = new Set(Object.keys(counts).map((what) => what.split(': ')[1]))
  t.same([...outcomes].sort(), ['refused SSE_HUB_ERR_LOG_STORE', 'works'])
})
