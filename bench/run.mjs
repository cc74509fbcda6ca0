// npm run bench [-- --quick] [--only broadcast,memory] [--json FILE] [--svg FILE] [--no-build]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describeMachine, machine } from './lib/machine.mjs'
import { prepare } from './lib/prepare.mjs'
import { proofOf } from './lib/proof.mjs'
import { tableOf, targetsOf } from './lib/report.mjs'
import * as appends from './scenarios/appends.mjs'
import * as batch from './scenarios/batch.mjs'
import * as broadcast from './scenarios/broadcast.mjs'
import * as growth from './scenarios/growth.mjs'
import * as heartbeat from './scenarios/heartbeat.mjs'
import * as latency from './scenarios/latency.mjs'
import * as log from './scenarios/log.mjs'
import * as memory from './scenarios/memory.mjs'
import * as metrics from './scenarios/metrics.mjs'
import * as ndjson from './scenarios/ndjson.mjs'
import * as nodes from './scenarios/nodes.mjs'
import * as redis from './scenarios/redis.mjs'
import * as stall from './scenarios/stall.mjs'
import * as stalled from './scenarios/stalled.mjs'
import * as storm from './scenarios/storm.mjs'
import * as targeted from './scenarios/targeted.mjs'
import * as tracing from './scenarios/tracing.mjs'
import * as workers from './scenarios/workers.mjs'

/** In the order of execution. */
const SCENARIOS = {
  broadcast,
  targeted,
  batch,
  ndjson,
  memory,
  storm,
  stalled,
  heartbeat,
  stall,
  latency,
  growth,
  log,
  appends,
  metrics,
  tracing,
  redis,
  nodes,
  workers
}

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
const names = Object.keys(SCENARIOS)
const chosen = options.only?.split(',') ?? names
const unknown = chosen.find((name) => !names.includes(name))
if (unknown !== undefined) fail(`there is no scenario ${unknown}; there are ${names.join(', ')}`)

prepare(options)

const began = performance.now()
const here = machine()
print(`\n${describeMachine(here)}\n`)
const results = {}
for (const name of names.filter((scenario) => chosen.includes(scenario)))
  results[name] = await measured(SCENARIOS[name])

const finished = Object.values(results).filter(({ error }) => error === undefined)
const rows = finished.flatMap(({ tables }) => tables.flatMap((table) => table.rows))
const targets = finished.flatMap(({ targets: some }) => some)
if (targets.length > 0) print(`\n${targetsOf(targets)}\n`)
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
  writeFileSync(options.svg, growth.chart(results.growth.tables[0].rows))
const isWrong = rows.some(({ server, error, isComplete }) => server === 'hub' && (error || isComplete === false))
if (isWrong || finished.length < Object.keys(results).length)
  fail('the hub failed, or lost or doubled events: see above')

async function measured({ title, run }) {
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

/** Prints progress, which is not part of the report. */
function say(text) {
  process.stderr.write(`  … ${text}\n`)
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
