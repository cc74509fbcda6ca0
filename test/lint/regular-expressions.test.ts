import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const SCRIPT = join(import.meta.dirname, 'regular-expressions.mjs')

/** What the check says of a file with this source. */
function check(folder: string, source: string) {
  const path = join(folder, 'source.ts')
  writeFileSync(path, source)
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, path], { encoding: 'utf8' })
  return { status, stderr }
}

t.test('a regular expression that takes more than linear time is named, with a text that it is slow on', async (t) => {
  const folder = t.testdir()
  const literal = check(folder, 'const harmless = /^a+$/\nexport const parameter = /([?&;])([^=&;#]*)=[^&;#]*/g\n')
  t.equal(literal.status, 1)
  t.match(literal.stderr, /source\.ts:2: .* takes 2nd degree polynomial time, for example with /)
  const called = check(folder, "export const nested = new RegExp('^(a+)+$')\n")
  t.match(called.stderr, /source\.ts:1: .* takes exponential time/)
})

t.test('a regular expression that is made at run time is named, because it cannot be checked', async (t) => {
  const { status, stderr } = check(t.testdir(), 'export const make = (text: string) => new RegExp(text)\n')
  t.equal(status, 1)
  t.match(stderr, /source\.ts:1: new RegExp\(text\) takes an unknown time/)
})

t.test('regular expressions that take linear time pass', async (t) => {
  t.same(check(t.testdir(), "export const two = [/^[a-z]+$/, RegExp('a|b', 'i')]\n"), { status: 0, stderr: '' })
})
