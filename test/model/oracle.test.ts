import t from 'tap'
import { type ClientRecord, type ConnectionLog, judge, type PublishedLog } from '../support/oracle.ts'

/** The oracle must find faults: here it judges logs with known ones. */

const EPOCH = 'aaaaaaaa'

function idOf(seq: number, epoch = EPOCH): string {
  return `${seq.toString(36)}.${epoch}${String(seq).padStart(6, '0')}`
}

function event(seq: number, epoch?: string): ClientRecord {
  return { event: 'message', data: `e${seq}`, id: idOf(seq, epoch), at: 100 + seq }
}

function own(name: string, seq?: number, data = ''): ClientRecord {
  return { event: name, data, id: seq === undefined ? undefined : idOf(seq), at: 100 + (seq ?? 0) }
}

function gap(at: number, reason = 'evicted'): ClientRecord {
  return { event: 'hub.gap', data: JSON.stringify({ reason }), id: undefined, at }
}

/** Forty events, the odd ones for alice, the even ones for bob; e40 is for both. */
const PUBLISHED: PublishedLog[] = Array.from({ length: 40 }, (_, index) => {
  const seq = index + 1
  const channels = seq === 40 ? ['alice', 'bob'] : [seq % 2 === 1 ? 'alice' : 'bob']
  return { id: idOf(seq), channels, data: `e${seq}`, at: seq }
})

function faultsOf(records: ClientRecord[], more: Partial<ConnectionLog> = {}, published = PUBLISHED) {
  const log = { listensTo: ['alice'], startsAfter: idOf(0), openedAt: 0, records, isComplete: false, ...more }
  const { complaints: _, deliveries: __, ...faults } = judge(published, [log])
  return Object.fromEntries(Object.entries(faults).filter(([, count]) => count > 0))
}

t.test('a correct log has no fault', (t) => {
  t.same(faultsOf([own('hub.welcome', 0), event(1), event(3), own('hub.heartbeat', 4), event(5)]), {})
  t.same(faultsOf([event(37), event(39), event(40)], { startsAfter: idOf(36), isComplete: true }), {})
  t.end()
})

t.test('an event that is missing between two others is lost', (t) => {
  t.same(faultsOf([event(1), event(5)]), { lost: 1 })
  t.same(faultsOf([event(5)], { startsAfter: idOf(2) }), { lost: 1 }, 'or after the id that the client sent')
  t.end()
})

t.test('an event that is missing at the end is lost if the client was connected, and under way if it was cut', (t) => {
  t.same(faultsOf([event(37)], { startsAfter: idOf(36) }), {})
  t.same(faultsOf([event(37)], { startsAfter: idOf(36), isComplete: true }), { lost: 2 })
  t.end()
})

t.test('an id that is ahead of the received events loses the events between', (t) => {
  t.same(faultsOf([event(1), own('hub.heartbeat', 4), event(5)]), { lost: 1 })
  t.same(faultsOf([own('hub.welcome', 3), event(5)]), { lost: 2 })
  t.end()
})

t.test('an event that comes twice is doubled', (t) => {
  t.same(faultsOf([event(1), event(3), event(3)]), { doubled: 1 })
  t.end()
})

t.test("an event that comes after a later one, or before the client's own position, is out of order", (t) => {
  t.same(faultsOf([event(1), event(5), event(3)]), { lost: 1, outOfOrder: 1 })
  t.same(faultsOf([event(1)], { startsAfter: idOf(2) }), { outOfOrder: 1 })
  t.end()
})

t.test('an event for another user is foreign, and one that nobody published is altered', (t) => {
  t.same(faultsOf([event(1), event(2)]), { foreign: 1 })
  t.same(faultsOf([{ ...event(1), data: 'e1 and more' }]), { altered: 1 })
  t.same(faultsOf([{ ...event(1), id: undefined, data: 'never sent' }]), { altered: 1 })
  t.end()
})

t.test('a gap excuses events published before it was reported, and no later ones', (t) => {
  t.same(faultsOf([event(1), gap(4), event(5)]), {})
  t.same(faultsOf([event(1), gap(2), event(5)]), { lost: 1, falseGaps: 1 })
  t.same(faultsOf([event(1), gap(4), event(5), event(9)]), { lost: 1 })
  t.end()
})

t.test('a gap with nothing missing after it is false', (t) => {
  t.same(faultsOf([event(1), gap(4), event(3), event(5)]), { falseGaps: 1 })
  t.same(faultsOf([event(1), gap(2)]), { falseGaps: 1 }, 'events for others are not missing')
  t.end()
})

t.test('a change to another epoch of the log without a gap loses all', (t) => {
  const newEpoch = Array.from({ length: 3 }, (_, at) => ({ ...event(at + 1, 'bbbbbbbb'), data: `new ${at + 1}` }))
  const published = [
    ...PUBLISHED,
    ...newEpoch.map(({ id, data }) => ({ id: id as string, channels: ['alice'], data, at: 50 }))
  ]
  t.same(faultsOf([event(1), ...newEpoch], {}, published), { lost: 1 })
  t.same(faultsOf([event(1), gap(60, 'reset'), ...newEpoch], {}, published), {})
  t.end()
})

t.test('an event that may expire may be missing', (t) => {
  const published = PUBLISHED.map((entry) => ({ ...entry, mayExpire: entry.id === idOf(3) }))
  t.same(faultsOf([event(1), event(5)], {}, published), {})
  t.end()
})

t.test('a client that requests history has no claim to events published before it received the first', (t) => {
  t.same(faultsOf([event(37), event(39)], { startsAfter: undefined, openedAt: 40 }), {})
  t.end()
})
