import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

interface Item {
  readonly number: string
  readonly what: string
  readonly file: string
  readonly name: string
}

const items = readFileSync(join(import.meta.dirname, 'CATALOGUE.md'), 'utf8')
  .split('\n')
  .map((line) => /^\| ([A-Z]-\d+) +\| (.+?) +\| (\S+) +\| (.+?) +\|$/.exec(line))
  .filter((match) => match !== null)
  .map(([, number = '', what = '', file = '', name = '']): Item => ({ number, what, file, name }))

/** The item numbers of a kind, from one to the other. */
const numbers = (kind: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => `${kind}-${String(from + at).padStart(2, '0')}`)

/** Whether the source has a test of that name: a whole literal, in quotes of any kind. */
function names(source: string, name: string): boolean {
  const quoted = [name, name.replaceAll("'", "\\'")]
  return quoted.some((text) => ["'", '"', '`'].some((quote) => source.includes(quote + text + quote)))
}

t.test('the catalogue has every item once, and in order', async (t) => {
  const expected = [
    ...numbers('F', 1, 67),
    ...numbers('F', 103, 112),
    ...numbers('A', 1, 26),
    ...numbers('M', 1, 28),
    ...numbers('R', 1, 36),
    ...numbers('E', 1, 16),
    ...numbers('B', 1, 14),
    ...numbers('H', 1, 9),
    ...numbers('P', 1, 6),
    ...numbers('T', 1, 6),
    ...numbers('O', 1, 12),
    ...numbers('N', 1, 7),
    ...numbers('C', 1, 26),
    ...numbers('X', 1, 9)
  ]
  t.same(
    items.map(({ number }) => number),
    expected
  )
})

t.test('every test in the catalogue exists, and items without a test say why', async (t) => {
  for (const { number, file, name } of items) {
    if (file === '-') {
      t.match(name, /^needs /, number)
      continue
    }
    const path = join(import.meta.dirname, file)
    t.ok(existsSync(path) && names(readFileSync(path, 'utf8'), name), `${number}: ${file}: ${name}`)
  }
})
