import t from 'tap'
import { OpeningRate } from '../../services/streams/opening-rate.ts'

t.test('a name opens as many at once as it has to spare, and then as many a second as it may', async (t) => {
  const rate = new OpeningRate(20)
  const burst = (name: string, now: number) => {
    let count = 0
    while (rate.take(name, now)) count++
    return count
  }
  t.equal(burst('alice', 0), 500)
  t.equal(burst('bob', 0), 500, 'another name has its own')
  t.equal(burst('alice', 1_000), 20)
  t.equal(burst('alice', 1_020), 0)
  t.equal(burst('alice', 11_000), 200)
  t.equal(burst('alice', 36_000), 500, 'what was not used for long is there again')
  t.equal(burst('alice', 200_000), 500)
  t.equal(burst('alice', 224_990), 499)
})
