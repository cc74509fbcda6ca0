import { Transform } from 'node:stream'

const TOTALS = /^# \{ total: \d+.*\}$/
/** A skipped test, with its reason, but for those that a filter of the command line leaves out. */
const SKIPPED = /^ *ok \d+.* # SKIP (?!filter: )(.+)$/

/** Forwards tap's output, and ends it with the skipped tests, how to run them, and the totals. */
export default class ClosingLines extends Transform {
  #rest = ''
  #counts = { pass: 0, fail: 0, skip: 0, todo: 0 }
  /** Number of skipped tests for each reason. */
  #skipped = new Map()

  _transform(chunk, _encoding, callback) {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop()
    for (const line of lines) this.#read(line)
    callback(null, chunk)
  }

  _flush(callback) {
    const { pass, fail, skip } = this.#counts
    const reasons = [...this.#skipped].map(
      ([reason, tests]) => `skipped ${tests} ${tests === 1 ? 'test' : 'tests'}: ${reason}\n`
    )
    callback(null, `${reasons.join('')}${pass} passed, ${fail} failed, ${skip} skipped\n`)
  }

  #read(line) {
    const reason = SKIPPED.exec(line)?.[1]
    if (reason !== undefined) this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + 1)
    if (!TOTALS.test(line)) return
    for (const [, kind, count] of line.matchAll(/(pass|fail|skip|todo): (\d+)/g)) this.#counts[kind] = Number(count)
  }
}
