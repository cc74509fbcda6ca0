// npm run bench [-- --quick] [--only broadcast,memory] [--json FILE] [--svg FILE] [--no-build]
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const ROOT = join(import.meta.dirname, '..')

/** In the order in which they run. */
const SCENARIOS = [
  'broadcast',
  'targeted',
  'batch',
  'memory',
  'storm',
  'stalled',
  'heartbeat',
  'stall',
  'latency',
  'growth',
  'log'
]

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    json: { type: 'string' },
    svg: { type: 'string' },
    build: { type: 'boolean', default: true }
  },
  allowNegative: true
})
const chosen = options.only?.split(',') ?? SCENARIOS
const unknown = chosen.find((name) => !SCENARIOS.includes(name))
if (unknown !== undefined) fail(`there is no scenario ${unknown}; there are ${SCENARIOS.join(', ')}`)

const npm = (...args) => execFileSync('npm', args, { cwd: ROOT, stdio: 'inherit' })
if (!existsSync(join(import.meta.dirname, 'node_modules'))) npm('ci', '--prefix', 'bench', '--no-audit', '--no-fund')
if (options.build) npm('run', '-s', 'build')

// Only now is there what these import.
const { machine, describeMachine } = await import('./lib/machine.mjs')
const { tableOf, targetsOf } = await import('./lib/report.mjs')
const { proofOf } = await import('./lib/proof.mjs')
const { growthChart } = await import('./scenarios/growth.mjs')

const began = performance.now()
const here = machine()
print(`\n${describeMachine(here)}\n`)
const results = {}
for (const name of SCENARIOS.filter((scenario) => chosen.includes(scenario))) {
  const { title, run } = await import(`./scenarios/${name}.mjs`)
  results[name] = await runScenario(title, run)
}

const finished = Object.values(results).filter(({ error }) => error === undefined)
const rows = finished.flatMap(({ tables }) => tables.flatMap((table) => table.rows))
const targets = finished.flatMap(({ targets: some }) => some)
print(`\n${targetsOf(targets)}\n`)
print(`\n${proofOf(finished.flatMap(({ tables }) => tables))}\n`)
const seconds = Math.round((performance.now() - began) / 1000)
print(`\n${seconds} s${options.quick ? ', the short form: figures are coarse' : ''}\n`)

if (options.json !== undefined) {
  const report = {
    at: new Date().toISOString(),
    quick: options.quick,
    seconds,
    machine: here,
    targets,
    scenarios: results
  }
  writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`)
}
if (options.svg !== undefined && results.growth?.tables)
  writeFileSync(options.svg, growthChart(results.growth.tables[0].rows))
const isWrong = rows.some(({ server, error, isComplete }) => server === 'hub' && (error || isComplete === false))
if (isWrong || finished.length < Object.keys(results).length)
  fail('the hub failed, or lost or doubled events: see above')

async function runScenario(title, run) {
  print(`\n${title}\n`)
  try {
    const result = await run({ quick: options.quick, say })
    for (const { title: name, columns, rows: shown } of result.tables)
      print(`\n  ${name}\n${tableOf(columns, shown)}\n`)
    return result
  } catch (error) {
    print(`  failed: ${error.stack}\n`)
    return { error: error.message }
  }
}

function print(text) {
  process.stdout.write(text)
}

/** What is being done, for who waits; not part of the report. */
function say(text) {
  process.stderr.write(`  … ${text}\n`)
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
