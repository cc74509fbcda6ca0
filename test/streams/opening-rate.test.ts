import t from 'tap'
import { OpeningRate } from '../../services/streams/opening-rate.ts'

t.test('a name opens a burst at once, and then streams at its rate per second', async (t) => {
  const rate = new OpeningRate(20)
  const burst = (name: string, now: number) => {
    let count = 0
    while (rate.take(name, now)) count++
    return count
  }
  t.equal(burst('alice', 0), 500)
  t.equal(burst('bob', 0), 500, 'another name has a burst of its own')
  t.equal(burst('alice', 1_000), 20)
  t.equal(burst('alice', 1_020), 0)
  t.equal(burst('alice', 11_000), 200)
  t.equal(burst('alice', 36_000), 500, 'a name that was unused for long has a full burst again')
  t.equal(burst('alice', 200_000), 500)
  t.equal(burst('alice', 224_990), 499)
})
