import t from 'tap'
import { PageTurns } from '../../services/hub/page-turns.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

t.test('the first page of a turn is read at once, and each further one in a turn of its own, in order', async (t) => {
  const turns = new PageTurns()
  const read: number[] = []
  const all = Promise.all([1, 2, 3].map((page) => turns.next().then(() => read.push(page))))
  await Promise.resolve()
  await Promise.resolve()
  t.same(read, [1])
  for (const expected of [
    [1, 2],
    [1, 2, 3]
  ]) {
    await turn()
    t.same(read, expected)
  }
  await all
  await turn()
  await turns.next()
  t.pass('after the others have read, a page is read at once again')
})

t.test('other callbacks of the event loop run between two pages', async (t) => {
  const turns = new PageTurns()
  const order: string[] = []
  const pages = Promise.all(['a', 'b', 'c'].map((page) => turns.next().then(() => order.push(page))))
  const others = (async () => {
    for (let at = 0; at < 3; at++) {
      await turn()
      order.push('other')
    }
  })()
  await Promise.all([pages, others])
  t.same(
    order.filter((name) => name !== 'other'),
    ['a', 'b', 'c']
  )
  t.notMatch(order.join(' '), /b c/)
})
