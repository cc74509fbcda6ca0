import t from 'tap'
import { ChannelHistory } from '../../services/event-log/memory/channel-history.ts'
import { MemoryEntry } from '../../services/event-log/memory/memory-entry.ts'
import { mergeHistories } from '../../services/event-log/memory/merge-histories.ts'

function entry(seq: number): MemoryEntry {
  const about = { event: 'message', data: `${seq}`, transient: false, final: false, streams: 0 }
  return new MemoryEntry({ ...about, channels: ['u:alice'] }, { seq, witness: '0'.repeat(14) }, 0, 0)
}

/** Number of slots that it retains. */
function slotsOf(history: ChannelHistory): number {
  let positions = 0
  while (history.seqAt(positions) < Number.POSITIVE_INFINITY) positions++
  return positions
}

t.test('a channel that retains little uses little space, however many events have passed through it', async (t) => {
  const history = new ChannelHistory('u:alice', 0)
  for (let seq = 1; seq <= 10_000; seq++) {
    history.push(seq, entry(seq))
    if (history.count > 20) history.shift()
  }
  t.equal(history.count, 20)
  t.ok(slotsOf(history) <= 64, `${slotsOf(history)} slots`)
  t.equal(history.countFrom(history.indexAfter(9_990)), 10)
})

t.test('removing entries from the middle frees their slots, and the count stays right', async (t) => {
  const history = new ChannelHistory('u:alice', 0)
  for (let seq = 1; seq <= 5_000; seq++) history.push(seq, entry(seq))
  for (let seq = 2; seq <= 5_000; seq++) if (seq % 100 !== 0) history.remove(seq)
  t.equal(history.count, 51)
  t.ok(slotsOf(history) <= 102, `${slotsOf(history)} slots`)
  for (const after of [0, 1, 99, 100, 2_500, 4_999, 5_000]) {
    const due = [1, ...Array.from({ length: 50 }, (_, at) => 100 * (at + 1))].filter((seq) => seq > after).length
    t.equal(history.countFrom(history.indexAfter(after)), due, `after ${after}`)
  }
  t.equal(history.remove(2), undefined, 'the removed entries are gone')
})

t.test('a slot with an entry of another user, or of another number, is a hole and not an event', async (t) => {
  const alice = new ChannelHistory('u:alice', 0)
  const bob = new ChannelHistory('u:bob', 0)
  alice.push(1, entry(1))
  alice.push(2, entry(7))
  bob.push(3, entry(3))
  alice.push(4, entry(4))
  const seqs = (of: ChannelHistory[], after = 0, limit = 10) => {
    const { events, hole, remaining } = mergeHistories(of, after, limit, undefined)
    return [events.map(({ cursor }) => cursor?.seq), hole, remaining]
  }
  t.same(seqs([alice]), [[1, 4], 2, 0])
  t.same(seqs([bob]), [[], 3, 0])
  t.same(seqs([alice, bob]), [[1, 4], 3, 0])
  t.same(seqs([alice], 0, 1), [[1], 0, 2], 'a hole that the reader has not reached is not reported')
  t.same(seqs([alice], 2), [[4], 0, 0])
})
