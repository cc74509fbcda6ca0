import { Transform } from 'node:stream'

const TOTALS = /^# \{ total: \d+.*\}$/

/** Passes tap's output on, and closes it with one line that any reader of logs understands. */
export default class ClosingLine extends Transform {
  #rest = ''
  #counts = { pass: 0, fail: 0, skip: 0, todo: 0 }

  _transform(chunk, _encoding, callback) {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop()
    for (const line of lines) {
      if (!TOTALS.test(line)) continue
      for (const [, kind, count] of line.matchAll(/(pass|fail|skip|todo): (\d+)/g)) this.#counts[kind] = Number(count)
    }
    callback(null, chunk)
  }

  _flush(callback) {
    const { pass, fail, skip } = this.#counts
    callback(null, `${pass} passed, ${fail} failed, ${skip} skipped\n`)
  }
}
