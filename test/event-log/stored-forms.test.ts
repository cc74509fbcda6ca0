import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { createClient } from 'redis'
import t, { type Test } from 'tap'
import { entryAt, entryRow, eventOfRow } from '../../services/event-log/embedded/entries.ts'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EntryFields, EntryRow } from '../../services/event-log/embedded/tables.ts'
import type { EventLog, ReadFrom } from '../../services/event-log/event-log.ts'
import { redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { parseEntry, textOf } from '../../services/event-log/redis/redis-entry.ts'
import { digitsOf, traceOfDigits } from '../../services/event-log/redis/trace-digits.ts'
import type { Channel } from '../../services/events/channel.ts'
import { type Cursor, parseCursor } from '../../services/events/cursor.ts'
import type { LogEvent } from '../../services/events/log-event.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'

const FIELDS: EntryFields = ['aaaaaaaabbbbbb', 1_700_000_000_000, 12, ['t:room'], 'said', 'héllo', true]
/** The row of FIELDS with number 7 as the first version stored it. */
const OLD_ROW = [...FIELDS, 3_391_630_300] as EntryRow

const tablesOf = (row: unknown) => ({ entries: { get: () => row } }) as unknown as Parameters<typeof entryAt>[0]

t.test('a row of the embedded store without excepted users is what earlier versions wrote and read', async (t) => {
  t.strictSame(entryRow(7, FIELDS, {}), OLD_ROW)
  t.strictSame(entryAt(tablesOf(OLD_ROW), 7), OLD_ROW)
})

t.test('damage to the excepted users of a row shows, and so does their loss', async (t) => {
  const row = entryRow(7, FIELDS, { except: ['alice', 'bob'] })
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

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01'

t.test('earlier versions read a row of the embedded store with a trace, and damage to the trace alone', async (t) => {
  const row = entryRow(7, FIELDS, { trace: TRACE })
  t.strictSame(row.slice(0, 9), entryRow(7, FIELDS, { except: [] }), 'the fields that they read and check')
  t.match(eventOfRow(7, row), { except: undefined, trace: TRACE })
  const both = entryRow(7, FIELDS, { except: ['alice'], trace: TRACE })
  t.strictSame(both.slice(0, 9), entryRow(7, FIELDS, { except: ['alice'] }))
  t.match(eventOfRow(7, both), { except: ['alice'], trace: TRACE })
  for (const trace of ['', TRACE.slice(1), `${TRACE}\n`, 7, null, ['x'], 'x'.repeat(1_000_000)]) {
    const damaged = [...row.slice(0, 9), trace] as unknown as EntryRow
    t.match(eventOfRow(7, damaged), { data: 'héllo', trace: undefined }, JSON.stringify(trace).slice(0, 80))
  }
})

t.test('earlier versions read an entry of Redis with a trace, and damage to the trace is no trace', async (t) => {
  const traces = [
    TRACE,
    `${TRACE} vendor=t61rcWkgMzE,other=1 ~`,
    `${TRACE.slice(0, -1)}0`,
    `${TRACE} ${' ~'.repeat(256)}`
  ]
  for (const trace of [...traces, `00-${'0'.repeat(31)}1-${'f'.repeat(16)}-ff`]) {
    const digits = digitsOf(trace)
    // The pattern of the scripts of earlier versions.
    t.match(`bbbbbb 1 -1 0 ${digits}\n`, /^\w+ \d+ -?\d+[ \d]*\n$/)
    t.equal(traceOfDigits(digits.split(' ')), trace)
    const text = '["t:room"]\n\n-"said"\nx'
    t.match(parseEntry(`bbbbbb 1 -1 0 ${digits}\n${text}`, 7, 'aaaaaaaa'), { trace, retracted: undefined, data: 'x' })
    t.match(parseEntry(`bbbbbb 1 -1 12 ${digits}\n${text}`, 7, 'aaaaaaaa'), { trace, retracted: 12, data: 'x' })
  }
  const [id, span, flags] = digitsOf(TRACE).split(' ')
  const damaged = [
    `${id}`,
    `${id} ${span}`,
    `${id} ${span} 256`,
    `0 ${span} ${flags}`,
    `${id} x ${flags}`,
    `${id}  ${flags}`
  ]
  for (const digits of [
    ...damaged,
    `${'9'.repeat(39)} 1 1`,
    `${'9'.repeat(100_000)} 1 1`,
    `1 1 1 1 1`,
    `1 1 1 10`,
    '1 1 1 '
  ])
    t.match(parseEntry(`bbbbbb 1 -1 0 ${digits}\n["t:room"]\n\n-"said"\nx`, 7, 'aaaaaaaa'), {
      trace: undefined,
      data: 'x'
    })
})

/** The same events, as an earlier version has stored them in a folder and in Redis. */
const EARLIER = JSON.parse(readFileSync(new URL('fixture/earlier-stores.json', import.meta.url), 'utf8')) as {
  embedded: { ids: string[]; files: Record<string, string> }
  redis: { ids: string[]; commands: [string, ...string[]][] }
}
/** As old as a store may be, so that the test outlives the day on which the fixture was written. */
const RETENTION = { user: 3, age: 3_650 * 86_400_000 }

const FILED = { event: 'message', transient: false, final: false as const, streams: 0 }

/** Reads, resumes and writes a log that an earlier version has written. `ids` are those of its events. */
async function useEarlier(t: Test, log: EventLog, ids: readonly string[]): Promise<void> {
  const at = (index: number) => parseCursor(ids[index] as string) as Cursor
  const read = async (channels: Channel[], from: ReadFrom) => {
    const { events, gap } = await log.read({ channels, from, limit: 20 })
    return [events.map(({ id, data }) => [ids.indexOf(id as string), data]), gap]
  }
  const alice: Channel[] = ['u:alice', 't:room', 'everyone']
  const missed = [
    [3, 'for everyone'],
    [5, 'second\nstäte'],
    [6, 'the end'],
    [7, 'last']
  ]
  t.same(await read(alice, at(2)), [missed, undefined], 'a cursor from before resumes')
  t.same(await read(alice, 'oldest'), [[[1, 'for alice'], [2, 'said'], ...missed], undefined])
  t.match(await read(['u:alice'], { ...at(0), seq: 0 }), [{}, /evicted|diverged/], 'a gap from before is still one')
  const [inInbox] = await log.append([{ ...FILED, channels: ['u:alice', 'i:alice'], data: 'in the inbox' }])
  t.ok(inInbox?.id)
  t.same(await read(['u:alice'], at(6)), [
    [
      [7, 'last'],
      [-1, 'in the inbox']
    ],
    undefined
  ])
  t.same(await read(['i:alice'], 'oldest'), [[[-1, 'in the inbox']], undefined])
  const [retracted] = await log.append([{ ...FILED, channels: [], event: 'hub.retract', data: '{}', retracts: at(6) }])
  t.ok(retracted?.id, 'an event from before is retracted')
  t.same(await read(['u:bob', 't:task'], at(5)), [[[-1, '{}']], undefined])
  t.equal(log.stats().hasInboxes, true)
}

t.test('a folder that an earlier version has written is opened, read and written', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'earlier-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  for (const [name, bytes] of Object.entries(EARLIER.embedded.files))
    writeFileSync(join(path, name), gunzipSync(Buffer.from(bytes, 'base64')), { mode: 0o600 })
  const log = await embeddedLog({ path, retention: RETENTION })
  t.teardown(() => log.close())
  await useEarlier(t, log, EARLIER.embedded.ids)
})

t.test(
  'a log in Redis that an earlier version has written is opened, read and written',
  { skip: withoutRedis },
  async (t) => {
    const server = await RedisServer.start()
    t.teardown(() => server.stop())
    const client = createClient({ url: server.url })
    await client.connect()
    for (const command of EARLIER.redis.commands) await client.sendCommand(command)
    await client.close()
    const log = await redisLog({ url: server.url, prefix: 'hub', retention: RETENTION })
    t.teardown(() => log.close())
    await useEarlier(t, log, EARLIER.redis.ids)
    // The tail that all nodes of that version shared is gone. They find a format that they refuse.
    t.same(await server.send(['KEYS', '{hub}:*:tail*']), [])
    t.same(await server.send(['HMGET', '{hub}:state', 'format', 'pos', 'nonce', 'tail']), ['3', null, null, '0'])
    const tailed: string[] = []
    const onEvents = (events: readonly LogEvent[]) => tailed.push(...events.map(({ data }) => data))
    const tail = await log.tail({ onEvents, onDiscontinuity: () => t.fail('the log goes on') }, { byInterest: true })
    await tail.interest?.add(['u:alice'])
    await log.append([{ ...FILED, channels: ['u:alice'], data: 'new' }])
    while (tailed.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    t.same(tailed, ['new'])
  }
)
