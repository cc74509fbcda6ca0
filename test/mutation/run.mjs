// Changes one place of a source at a time and runs its tests: `npm run mutate`. Prints the share of changes that a test
// notices, and every change that none does. SEED, MINUTES (10) and ONLY (a part of a path) can be set.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { mutantsOf } from './mutants.mjs'

const ROOT = join(import.meta.dirname, '..', '..')
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
const minutes = Number(process.env.MINUTES ?? 10)

const LOG = [
  'event-log/channel-history',
  'event-log/memory',
  'event-log/memory-model',
  'event-log/idempotency-keys',
  'hub/hub'
]
const STREAM = [
  ...['streams/event-stream', 'streams/delivery', 'hub/hub-endings', 'hub/hub-slow-log'],
  ...['streams/stream-manager', 'streams/feed', 'hub/hub', 'model/reliability']
]
/** The tests of a source, from `test/`. */
const SOURCES = {
  'services/events/cursor.ts': ['events/cursor', 'event-log/memory', 'streams/event-stream'],
  'services/events/wire-format.ts': ['events/draft', 'conformance/wire-format', 'conformance/statements'],
  'services/streams/event-stream.ts': STREAM,
  'services/streams/replay.ts': STREAM,
  'services/streams/stream-position.ts': STREAM,
  'services/streams/stream-output.ts': STREAM,
  'services/event-log/memory/memory-log.ts': LOG,
  'services/event-log/memory/memory-entry.ts': LOG,
  'services/event-log/memory/channel-history.ts': LOG,
  'services/event-log/memory/merge-histories.ts': LOG,
  'services/event-log/memory/emptied-channels.ts': LOG,
  'services/event-log/memory/idempotency-keys.ts': LOG,
  'services/event-log/size-classes.ts': LOG
}

const work = mkdtempSync(join(tmpdir(), 'mutation-'))
process.on('exit', () => rmSync(work, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

function compile(path, source) {
  const { outputText } = ts.transpileModule(source, {
    fileName: path,
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      rewriteRelativeImportExtensions: true
    }
  })
  const target = join(work, path.replace(/\.ts$/, '.js'))
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, outputText)
}

/** Runs one test file; resolves with `passed`, `failed` or `late`. */
function run(test, timeout) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(work, 'test', `${test}.test.js`)], {
      cwd: work,
      env: { ...process.env, TAP_BAIL: '1', TEST_SEED: '1', SEED: '1' },
      stdio: ['ignore', 'ignore', 'ignore']
    })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      resolve('late')
    }, timeout)
    child.once('exit', (code) => {
      clearTimeout(timer)
      resolve(code === 0 ? 'passed' : 'failed')
    })
  })
}

/** mulberry32 */
let state = seed
function random() {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
}

for (const folder of ['event-log-contract', 'standalone', 'plugins', 'routes', 'services', 'test']) {
  for (const path of list(folder)) compile(path, readFileSync(join(ROOT, path), 'utf8'))
}
for (const path of readdirSync(ROOT).filter((name) => name.endsWith('.ts')))
  compile(path, readFileSync(join(ROOT, path), 'utf8'))
function list(folder) {
  return ts.sys.readDirectory(join(ROOT, folder), ['.ts']).map((path) => path.slice(ROOT.length + 1))
}
writeFileSync(join(work, 'package.json'), '{"type":"module"}')
symlinkSync(join(ROOT, 'node_modules'), join(work, 'node_modules'))

const only = Object.entries(SOURCES).filter(([path]) => path.includes(process.env.ONLY ?? ''))
const baseline = new Map()
for (const test of new Set(only.flatMap(([, tests]) => tests))) {
  const start = performance.now()
  if ((await run(test, 120_000)) !== 'passed') throw new Error(`test/${test}.test.ts fails without any change`)
  baseline.set(test, performance.now() - start)
}

const mutants = only.flatMap(([path, tests]) => {
  const source = readFileSync(join(ROOT, path), 'utf8')
  // The fast ones first: most changes are noticed by the first.
  const order = [...tests].sort((a, b) => baseline.get(a) - baseline.get(b))
  return mutantsOf(path, source).map((mutant) => ({ ...mutant, path, source, order }))
})
for (let at = mutants.length - 1; at > 0; at--) {
  const other = Math.floor(random() * (at + 1))
  ;[mutants[at], mutants[other]] = [mutants[other], mutants[at]]
}

const end = performance.now() + minutes * 60_000
const score = { failed: 0, late: 0, passed: 0 }
const survivors = []
for (const { path, source, order, start, end: stop, text, line, kind } of mutants) {
  if (performance.now() >= end) break
  compile(path, source.slice(0, start) + text + source.slice(stop))
  let outcome = 'passed'
  for (const test of order) {
    outcome = await run(test, 3 * baseline.get(test) + 10_000)
    if (outcome !== 'passed') break
  }
  compile(path, source)
  score[outcome]++
  if (outcome !== 'passed') continue
  const was = source.slice(start, stop).replace(/\s+/g, ' ').slice(0, 70)
  survivors.push(`${path}:${line} ${kind}: ${was} → ${text.slice(0, 70)}`)
  process.stderr.write(`${survivors.at(-1)}\n`)
}
const tried = score.failed + score.late + score.passed
process.stdout.write(`${survivors.sort().join('\n')}\n`)
process.stdout.write(
  `SEED=${seed}: ${tried} of ${mutants.length} changes tried, ${score.failed + score.late} noticed ` +
    `(${score.late} by running for ever): ${((100 * (score.failed + score.late)) / tried).toFixed(1)} %\n`
)
