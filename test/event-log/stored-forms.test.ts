import t from 'tap'
import { entryAt, entryRow } from '../../services/event-log/embedded/entries.ts'
import type { EntryFields, EntryRow } from '../../services/event-log/embedded/tables.ts'
import { parseEntry, textOf } from '../../services/event-log/redis/redis-entry.ts'

const FIELDS: EntryFields = ['aaaaaaaabbbbbb', 1_700_000_000_000, 12, ['t:room'], 'said', 'héllo', true]
/** The row of FIELDS with number 7 as the first version stored it. */
const OLD_ROW = [...FIELDS, 3_391_630_300] as EntryRow

const tablesOf = (row: unknown) => ({ entries: { get: () => row } }) as unknown as Parameters<typeof entryAt>[0]

t.test('a row of the embedded store without excepted users is what earlier versions wrote and read', async (t) => {
  t.strictSame(entryRow(7, FIELDS, undefined), OLD_ROW)
  t.strictSame(entryAt(tablesOf(OLD_ROW), 7), OLD_ROW)
})

t.test('damage to the excepted users of a row shows, and so does their loss', async (t) => {
  const row = entryRow(7, FIELDS, ['alice', 'bob'])
  t.strictSame(entryAt(tablesOf(row), 7), row)
  t.strictSame(row[8], ['alice', 'bob'])
  for (const except of [undefined, [], ['alice'], ['alice', 'bobb'], ['bob', 'alice'], 'alice', [1], null]) {
    const damaged = [...row.slice(0, 8), ...(except === undefined ? [] : [except])]
    t.equal(entryAt(tablesOf(damaged), 7), undefined, JSON.stringify(except))
  }
})

t.test('an entry of Redis without excepted users is what earlier versions wrote and read', async (t) => {
  const event = { channels: ['t:room' as const], event: 'said', data: 'a\nb', transient: false, streams: 0 }
  t.equal(textOf({ ...event, final: false }), '["t:room"]\n\n-"said"\na\nb')
  t.equal(textOf({ ...event, final: true, collapseKey: 'k' }), '["t:room"]\n"k"\n!"said"\na\nb')
  const old = parseEntry('bbbbbb 1700000000000 -1\n["t:room"]\n\n!"said"\na\nb', 7, 'aaaaaaaa')
  t.match(old, { channels: ['t:room'], event: 'said', data: 'a\nb', final: true, except: undefined })
})

t.test('an entry of Redis with excepted users is read as it was written, or not at all', async (t) => {
  const except = ['alice', '"é\\', '__proto__']
  const event = { channels: ['t:room' as const], event: 'said', data: 'x', transient: false, streams: 0 }
  const text = textOf({ ...event, final: 'failed', except })
  t.match(parseEntry(`bbbbbb 1 -1\n${text}`, 7, 'aaaaaaaa'), { event: 'said', final: 'failed', except })
  for (const name of ['["said",1]', '[]', '[["said"]]', '{"0":"said"}', '["said",null]']) {
    const damaged = `bbbbbb 1 -1\n["t:room"]\n\n-${name}\nx`
    t.equal(parseEntry(damaged, 7, 'aaaaaaaa'), undefined, name)
  }
})
