import { Transform } from 'node:stream'

const TOTALS = /^# \{ total: \d+.*\}$/
/** A skipped test, with its reason, but for those that a filter of the command line leaves out. */
const SKIPPED = /^ *ok \d+.* # SKIP (?!filter: )(.+)$/
const SUBTEST = /^( *)# Subtest: (.+)$/
const FAILED = /^( *)not ok \d+(?: - (.*))?$/
/** Begin and end of the details of a failure, which TAP writes as YAML. */
const [DETAILS, END_OF_DETAILS] = [/^ *---$/, /^ *\.\.\.$/]
const MAX_DETAILS = 60

/** Forwards tap's output, and ends it with the failures, the skipped tests, how to run them, and the totals. */
export default class ClosingLines extends Transform {
  #rest = ''
  #counts = { pass: 0, fail: 0, skip: 0, todo: 0 }
  /** Number of skipped tests for each reason. */
  #skipped = new Map()
  /** Names of the tests that run, each with its indentation. */
  #running = []
  /** Lines that describe each failure. */
  #failures = []
  /** The failure whose details are read. */
  #failure

  _transform(chunk, _encoding, callback) {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop()
    for (const line of lines) this.#read(line)
    callback(null, chunk)
  }

  _flush(callback) {
    const { pass, fail, skip } = this.#counts
    const failures = this.#failures.flat().map((line) => `not ok: ${line}\n`)
    const reasons = [...this.#skipped].map(
      ([reason, tests]) => `skipped ${tests} ${tests === 1 ? 'test' : 'tests'}: ${reason}\n`
    )
    const totals = `${pass} passed, ${fail} failed, ${skip} skipped\n`
    callback(null, [...failures, ...reasons, totals].join(''))
  }

  #read(line) {
    const reason = SKIPPED.exec(line)?.[1]
    if (reason !== undefined) this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + 1)
    this.#readFailure(line)
    if (!TOTALS.test(line)) return
    for (const [, kind, count] of line.matchAll(/(pass|fail|skip|todo): (\d+)/g)) this.#counts[kind] = Number(count)
  }

  #readFailure(line) {
    if (this.#failure !== undefined) {
      const isFirst = this.#failure.length === 1
      if (isFirst ? DETAILS.test(line) : !END_OF_DETAILS.test(line)) {
        if (this.#failure.length < MAX_DETAILS) this.#failure.push(line)
        return
      }
      this.#failure = undefined
    }
    const [, subtestIndent, test] = SUBTEST.exec(line) ?? []
    if (test !== undefined) {
      this.#leave(subtestIndent.length)
      this.#running.push({ indent: subtestIndent.length, test })
    }
    const [isFailed, indent, name = ''] = FAILED.exec(line) ?? []
    if (isFailed === undefined || / # (?:TODO|SKIP)/.test(name)) return
    // A test that fails because an assertion in it failed adds nothing; a file adds its exit code.
    if (indent !== '' && / # time=/.test(name)) return
    this.#leave(indent.length + 1)
    const names = this.#running.map(({ test }) => test)
    this.#failure = [[...names, name].join(' › ')]
    this.#failures.push(this.#failure)
  }

  /** Forgets the tests that have ended before a line with this indentation. */
  #leave(indent) {
    while ((this.#running.at(-1)?.indent ?? -1) >= indent) this.#running.pop()
  }
}
