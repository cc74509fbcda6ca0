import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const SCRIPT = join(import.meta.dirname, 'regular-expressions.mjs')

/** Runs the check on a file with this source; returns its exit code and its errors. */
function check(folder: string, source: string) {
  const path = join(folder, 'source.ts')
  writeFileSync(path, source)
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, path], { encoding: 'utf8' })
  return { status, stderr }
}

t.test('a regular expression of more than linear time is reported, with a text on which it is slow', async (t) => {
  const folder = t.testdir()
  const literal = check(folder, 'const harmless = /^a+$/\nexport const parameter = /([?&;])([^=&;#]*)=[^&;#]*/g\n')
  t.equal(literal.status, 1)
  t.match(literal.stderr, /source\.ts:2: .* takes 2nd degree polynomial time, for example with /)
  const called = check(folder, "export const nested = new RegExp('^(a+)+$')\n")
  t.match(called.stderr, /source\.ts:1: .* takes exponential time/)
})

t.test('a regular expression that is built at run time is reported, because it cannot be checked', async (t) => {
  const { status, stderr } = check(t.testdir(), 'export const make = (text: string) => new RegExp(text)\n')
  t.equal(status, 1)
  t.match(stderr, /source\.ts:1: new RegExp\(text\) takes an unknown time/)
})

t.test('regular expressions of linear time pass', async (t) => {
  t.same(check(t.testdir(), "export const two = [/^[a-z]+$/, RegExp('a|b', 'i')]\n"), { status: 0, stderr: '' })
})
