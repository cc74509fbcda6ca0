import t from 'tap'
import { Fifo } from '../../services/fifo.ts'

t.test('items leave in the order of arrival, however pushes and shifts mix', async (t) => {
  const fifo = new Fifo<number>()
  const plain: number[] = []
  for (let step = 0; step < 5_000; step++) {
    const isGrowing = Math.floor(step / 700) % 2 === 0
    if ((step % 3 !== 0) === isGrowing) {
      fifo.push(step)
      plain.push(step)
    } else t.equal(fifo.shift(), plain.shift())
    if (fifo.size !== plain.length || fifo.first !== plain[0]) t.same([fifo.size, fifo.first], [plain.length, plain[0]])
  }
  fifo.clear()
  t.same([fifo.size, fifo.first, fifo.shift()], [0, undefined, undefined])
})

t.test('taking an item costs amortized constant time, however many were taken before', async (t) => {
  const fifo = new Fifo<number>()
  let copied = 0
  const { slice } = Array.prototype
  Array.prototype.slice = function (this: unknown[], ...range) {
    const copy = slice.apply(this, range)
    copied += copy.length
    return copy
  }
  try {
    for (let item = 0; item < 10_000; item++) fifo.push(item)
    for (let item = 0; item < 100_000; item++) {
      fifo.push(item)
      fifo.shift()
    }
  } finally {
    Array.prototype.slice = slice
  }
  t.ok(copied > 0 && copied <= 110_000, `${copied} items copied for 100,000 that left`)
})
