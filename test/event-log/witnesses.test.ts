import t from 'tap'
import { newWitnessKey, Witnesses, type WitnessKeys, withKey, witnessOf } from '../../services/event-log/witnesses.ts'

t.test('a key makes the same six characters of a number again, and another key others', async (t) => {
  const key = newWitnessKey()
  const [one, same, other] = [new Witnesses(key), new Witnesses(key), new Witnesses(newWitnessKey())]
  const made = new Set<string>()
  let equal = 0
  for (let step = 0; step < 20_000; step++) {
    // Small numbers, and such as have the same low half.
    const seq = step % 2 === 0 ? step : 7 + step * 2 ** 32
    const witness = one.of(seq)
    if (!/^[0-9a-z]{6}$/.test(witness) || same.of(seq) !== witness) t.fail(`${seq}: ${witness}`)
    if (other.of(seq) === witness) equal++
    made.add(witness)
  }
  t.ok(made.size > 19_990, `${made.size} of 20,000 differ`)
  t.ok(equal < 3, `${equal} are the same under another key`)
})

t.test('each number has the witness of the key that was in use', async (t) => {
  let keys: WitnessKeys = []
  t.equal(witnessOf(keys, 1), undefined)
  const made = [newWitnessKey(), newWitnessKey(), newWitnessKey()] as const
  keys = withKey(keys, 1, made[0])
  keys = withKey(keys, 11, made[1])
  keys = withKey(keys, 11, made[2])
  t.equal(keys.length, 2, 'a key that was never used is not kept')
  t.equal(witnessOf(keys, 0), undefined)
  t.equal(witnessOf(keys, 10), new Witnesses(made[0]).of(10))
  t.equal(witnessOf(keys, 11), new Witnesses(made[2]).of(11))
  for (let from = 12; from < 3_000; from++) keys = withKey(keys, from, newWitnessKey())
  t.equal(keys.length, 1_000)
  t.equal(witnessOf(keys, 10), undefined)
})
