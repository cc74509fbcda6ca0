import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  type Cursor,
  formatCursor,
  isEnded,
  newEpoch,
  newWitness,
  parseCursor,
  sameEpoch
} from '../../services/events/cursor.ts'
import { finalCloseFrame } from '../../services/events/hub-frames.ts'
import { randomText } from '../../services/random.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StrictParser } from '../support/strict-parser.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyz'
const GOOD = 'zik0zj.0123456789abcd'

const cursor: fc.Arbitrary<Cursor> = fc.record({
  seq: fc.oneof(fc.maxSafeNat(), fc.nat({ max: 100 }), fc.constant(Number.MAX_SAFE_INTEGER)),
  witness: fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 14, maxLength: 14 })
})

function check<Inputs>(t: Test, property: fc.IProperty<Inputs>): void {
  const result = fc.check(property, { seed, numRuns: 2_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
}

t.test('a cursor that is written and read is the same cursor', async (t) => {
  check(
    t,
    fc.property(cursor, (one) => {
      const read = parseCursor(formatCursor(one))
      return read?.seq === one.seq && read.witness === one.witness
    })
  )
})

t.test('a cursor is at most 32 bytes of [0-9a-z.], with or without its end', async (t) => {
  check(
    t,
    fc.property(cursor, (one) => {
      const parser = new StrictParser()
      parser.feed(Buffer.from(finalCloseFrame('kicked', one)))
      return [formatCursor(one), parser.lastEventId].every((text) => /^[0-9a-z.]{1,32}$/.test(text))
    })
  )
})

t.test('of 100,000 texts that are not cursors none throws, and none is parsed as a wrong cursor', async (t) => {
  const chance = new FakeClock({ seed })
  const upTo = (end: number) => Math.floor(chance.random() * end)
  const letter = () =>
    chance.random() < 0.5
      ? (LETTERS[upTo(36)] as string)
      : String.fromCharCode(upTo(chance.random() < 0.8 ? 256 : 65_536))
  const noise = () => Array.from({ length: upTo(40) }, letter).join('')
  const mutated = () => {
    const at = upTo(GOOD.length + 1)
    return GOOD.slice(0, at) + (chance.random() < 0.7 ? letter() : '') + GOOD.slice(at + upTo(3))
  }
  let read = 0
  for (let count = 0; count < 100_000; count++) {
    const text = chance.random() < 0.5 ? noise() : mutated()
    const found = parseCursor(text)
    isEnded(text)
    if (found === undefined) continue
    read++
    if (formatCursor(found) !== text) t.fail(`${JSON.stringify(text)} was read as ${formatCursor(found)}`)
  }
  t.ok(read > 1_000 && read < 50_000, `${read} were cursors by chance`)
})

t.test('a text that no hub has written is not a cursor', async (t) => {
  const witness = '0123456789abcd'
  const garbage = [
    ...['', '.', ' ', '0', witness, `.${witness}`, `0.${witness}x`, `0.${witness.slice(1)}`, `0..${witness}`],
    ...[`01.${witness}`, `00.${witness}`, `-1.${witness}`, `1e3.${witness}`.toUpperCase(), `+1.${witness}`],
    ...[
      `1.${witness.toUpperCase()}`,
      `1.${witness}\n`,
      ` 1.${witness}`,
      `1.${witness} `,
      `1.${witness}\0`,
      `1,${witness}`
    ],
    ...[`1.${witness}, 2.${witness}`, `1.${witness}.end`, 'a, b', 'null', 'undefined', 'NaN', '[object Object]'],
    ...["' OR 1=1 --", '../../etc/passwd', '%00', '\0\x01\xff', 'é☃', '０.0123456789abcd', '١.0123456789abcd'],
    ...['x'.repeat(15_000), `1.${'a'.repeat(15_000)}`, `${'1'.repeat(15_000)}.${witness}`, '1'.repeat(1_000_000)]
  ]
  for (const text of garbage) t.equal(parseCursor(text), undefined, JSON.stringify(text.slice(0, 60)))
})

t.test('a number that is not exact is not a cursor', async (t) => {
  const witness = '.0123456789abcd'
  const largest = Number.MAX_SAFE_INTEGER.toString(36)
  t.equal(parseCursor(largest + witness)?.seq, Number.MAX_SAFE_INTEGER)
  t.equal(parseCursor(`${largest.slice(0, -1)}w${witness}`), undefined)
  t.equal(parseCursor('zzzzzzzzzzz.0123456789abcd'), undefined)
  t.equal(parseCursor('100000000000.0123456789abcd'), undefined)
})

t.test('the id of an ended stream is recognised by itself, and a cursor is never mistaken for one', async (t) => {
  for (const reason of ['kicked', 'finished', 'replaced'] as const) {
    for (const where of [undefined, { seq: Number.MAX_SAFE_INTEGER, witness: 'abcdefghijklmn' }]) {
      const parser = new StrictParser()
      parser.feed(Buffer.from(finalCloseFrame(reason, where)))
      t.ok(isEnded(parser.lastEventId), parser.lastEventId)
      t.equal(parseCursor(parser.lastEventId), undefined)
    }
  }
  // A witness may well end in these letters.
  t.notOk(isEnded(formatCursor({ seq: 5, witness: 'abcdefghijkend' })))
  for (const text of ['', 'end', `${'x'.repeat(29)}.end`, 'x'.repeat(15_000)]) t.notOk(isEnded(text))
})

t.test('witnesses differ between epochs of a log, and between the entries of an epoch', async (t) => {
  const lives = Array.from({ length: 100 }, newEpoch)
  t.equal(new Set(lives).size, 100)
  const [epoch, other] = lives as [string, string]
  const witnesses = Array.from({ length: 100 }, () => newWitness(epoch))
  t.equal(new Set(witnesses).size, 100)
  t.ok(witnesses.every((witness) => sameEpoch(witness, epoch) && !sameEpoch(witness, other)))
  t.ok(witnesses.every((witness) => parseCursor(`1.${witness}`)?.witness === witness))
})

t.test('the letters of a random text are equally likely', async (t) => {
  const counts = new Map<string, number>()
  for (let count = 0; count < 10_000; count++) {
    for (const letter of randomText(36)) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  }
  t.equal([...counts.keys()].sort().join(''), LETTERS)
  // Six standard deviations; taking bytes modulo 36 would be off by twelve.
  for (const [letter, count] of counts) if (Math.abs(count - 10_000) > 600) t.fail(`${letter} came ${count} times`)
})
