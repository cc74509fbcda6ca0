import { Transform } from 'node:stream'

const TOTALS = /^# \{ total: \d+.*\}$/
/** A skipped test, with its reason. Those that a filter of the command line leaves out are no news. */
const SKIPPED = /^ *ok \d+.* # SKIP (?!filter: )(.+)$/

/** Passes tap's output on, and closes it with what was skipped, and how to run it, and the sums. */
export default class ClosingLines extends Transform {
  #rest = ''
  #counts = { pass: 0, fail: 0, skip: 0, todo: 0 }
  /** How many tests were skipped for each reason. */
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
