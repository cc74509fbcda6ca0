import t, { type Test } from 'tap'
import { formatCursor, parseCursor } from '../../services/events/cursor.ts'
import { prepareEvent } from '../../services/events/draft.ts'
import { finalCloseFrame, heartbeatFrame } from '../../services/events/hub-frames.ts'
import { type EventFields, formatComment, formatEvent } from '../../services/events/wire-format.ts'
import { Hub } from '../../services/hub/hub.ts'
import { type HubOptions, resolveOptions } from '../../services/hub/options.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { CLIENTS, cut, type Reading } from './clients.ts'

/**
 * The requirements of the standard (WHATWG HTML §9.2) for a server, one test per statement. Where a statement is about
 * reading, three clients read the stream, a byte, two bytes, and several bytes at a time.
 */

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)
const chance = new FakeClock({ seed })
const somePieces = Array.from({ length: 16 }, () => 1 + Math.floor(chance.random() * 9))

/** The reading on which all clients agree. */
function read(t: Test, stream: string | Buffer): Reading {
  const bytes = Buffer.from(stream)
  const judged = (CLIENTS[0] as (typeof CLIENTS)[number]).read([bytes])
  for (const client of CLIENTS) {
    for (const pieces of [[1], [2], somePieces]) {
      t.strictSame(client.read(cut(bytes, pieces)), judged, `${client.name}, in pieces of ${pieces}`)
    }
  }
  return judged
}

/** The data of one event as all clients read it. */
function arrives(t: Test, data: string): string | undefined {
  const { events } = read(t, formatEvent({ event: 'a', data }))
  t.equal(events.length, 1)
  return events[0]?.data
}

const HOSTILE = [
  'a\rid: EVIL\revent: admin',
  'a\r\n\r\ndata: forged',
  '\n\n\n',
  '\r',
  ': x',
  'data: y',
  '\0',
  '\uFEFF',
  '☃'
]

async function openHub(t: Test, options: HubOptions = {}) {
  const clock = new FakeClock({ seed })
  const silent = { error: (details: object) => t.fail('logged an error', details), warn() {} }
  const hub = new Hub({ clock, ...options }, silent)
  await hub.start()
  t.teardown(() => hub.dispose())
  const open = async (user = 'alice') => {
    const sink = new FakeSink()
    const stream = hub.open(sink, { user })
    await settle()
    return { sink, stream, bytes: () => Buffer.concat(sink.writes) }
  }
  return { clock, hub, open }
}

t.test('W-01: all is UTF-8, and text that is not Unicode is refused', async (t) => {
  for (const text of ['\ud800', 'a\udc00b', '\udc00\ud800']) {
    t.throws(() => prepareEvent({ data: text }, 100), { code: 'SSE_HUB_ERR_INVALID_DATA' })
    t.throws(() => prepareEvent({ event: text, data: '' }, 100), { code: 'SSE_HUB_ERR_INVALID_EVENT_NAME' })
  }
  const { data } = prepareEvent({ data: { text: '\ud800' } }, 100)
  t.equal(arrives(t, data), '{"text":"\\ud800"}', 'in JSON it is escaped')
})

t.test(
  'W-02: a stream begins with a line of its own, so that a byte order mark at the start of the first event is kept',
  async (t) => {
    const { hub, open } = await openHub(t, { welcome: false })
    const { bytes } = await open()
    t.equal(bytes().toString(), ': \n')
    await hub.send('alice', { data: '\uFEFFx' })
    await settle()
    t.equal(read(t, bytes()).events[0]?.data, '\uFEFFx')
  }
)

t.test('W-03: no CR is ever written', async (t) => {
  const { hub, open, clock } = await openHub(t)
  const { bytes, stream } = await open()
  for (const data of HOSTILE) await hub.send('alice', { data })
  await settle()
  clock.advance(20_000)
  stream.close('kicked')
  t.notOk(bytes().includes('\r'))
  t.equal(read(t, bytes()).events.filter(({ event }) => event === 'message').length, HOSTILE.length)
})

t.test('W-04: CRLF, CR and LF each end a line of data', async (t) => {
  t.equal(arrives(t, 'a\r\nb\rc\nd\n\re'), 'a\nb\nc\nd\n\ne')
})

t.test('W-05: line ends at the end of data arrive', async (t) => {
  t.equal(arrives(t, 'a\n'), 'a\n')
  t.equal(arrives(t, 'a\r\n\r'), 'a\n\n')
  t.equal(arrives(t, '\n'), '\n')
})

t.test('W-06: a space at the beginning of data arrives', async (t) => {
  t.equal(arrives(t, ' x'), ' x')
  t.equal(arrives(t, '  x\n  y'), '  x\n  y')
  t.equal(arrives(t, ' '), ' ')
})

t.test('W-07: colons in data arrive', async (t) => {
  t.equal(arrives(t, 'a:b: c'), 'a:b: c')
  t.equal(arrives(t, ':x'), ':x')
})

t.test('W-08: no text of a publisher ever stands in place of a field name', async (t) => {
  const { hub, open } = await openHub(t)
  const { bytes } = await open()
  for (const data of HOSTILE) await hub.send('alice', { event: 'id: 1', data })
  await settle()
  const lines = (bytes().toString() + HOSTILE.map(formatComment).join('')).split('\n')
  t.strictSame(
    lines.filter((line) => !/^(event: .+|id: [0-9a-z.]+|data: .*|retry: \d+|: .*|)$/s.test(line)),
    []
  )
})

t.test('W-09: empty data is an event, a block without data is not', async (t) => {
  t.equal(arrives(t, ''), '')
  t.strictSame(read(t, `${formatComment('x')}retry: 5\n\n`).events, [])
})

t.test('W-10: cut at any byte a stream yields whole events only, and it ends on an event boundary', async (t) => {
  const { hub, open } = await openHub(t)
  const { bytes, sink, stream } = await open()
  await hub.send('alice', { event: 'two', data: 'lines\n☃' })
  await settle()
  await hub.send('alice', { data: 'last' })
  stream.close('shutdown')
  const all = read(t, bytes()).events
  t.strictSame(
    all.map(({ event }) => event),
    ['hub.welcome', 'two', 'message', 'hub.close']
  )
  for (let end = 0; end < bytes().length; end++) {
    for (const client of CLIENTS) {
      const { events } = client.read([bytes().subarray(0, end)])
      if (JSON.stringify(events) !== JSON.stringify(all.slice(0, events.length))) t.fail(`${client.name} at ${end}`)
    }
  }
  t.ok(sink.parser.isAtBoundary)
  t.ok(bytes().toString().endsWith('\n\n'))
})

t.test('W-11: a CR, LF or NUL in an event name is refused', async (t) => {
  for (const name of ['a\nid: 1', 'a\r', '\0', 'a\r\nb', '']) {
    t.throws(() => formatEvent({ event: name, data: '' }), TypeError)
    t.throws(() => prepareEvent({ event: name, data: '' }, 100), { code: 'SSE_HUB_ERR_INVALID_EVENT_NAME' })
  }
})

t.test("W-12: the names of EventSource's own events and of the hub's are refused", async (t) => {
  for (const event of ['open', 'error', 'hub.gap', 'hub.', 'hub.close', '__proto__']) {
    t.throws(() => prepareEvent({ event, data: '' }, 100), { code: 'SSE_HUB_ERR_RESERVED_EVENT_NAME' })
  }
  for (const event of ['opened', 'hub', 'hubble', 'Open', 'message', 'constructor']) {
    t.equal(prepareEvent({ event, data: '' }, 100).event, event)
  }
})

t.test('W-13: a name is for one event; without one the name is "message"', async (t) => {
  const stream = formatEvent({ event: 'named', data: '1' }) + formatEvent({ event: 'message', data: '2' })
  t.strictSame(
    read(t, stream).events.map(({ event }) => event),
    ['named', 'message']
  )
  t.notMatch(stream, 'event: message')
})

/** An event with any of these ids is not written. */
function refusesId(t: Test, ids: readonly string[]): void {
  for (const id of ids) t.throws(() => formatEvent({ event: 'a', data: '', id }), TypeError, JSON.stringify(id))
}

t.test('W-14: a NUL in an id is refused', async (t) => refusesId(t, ['\0', '1\0', '1\x002']))

t.test('W-15: a CR or LF in an id is refused', async (t) => refusesId(t, ['1\n', '1\rdata: x', '\r\n', '1\n2']))

t.test('W-16: a character in an id that some client cannot send back is refused', async (t) =>
  refusesId(t, ['\x01', '\x7f', 'é', '☃', '1 2', ' 1', '1\t'])
)

t.test('W-17: ids need no CORS preflight, and those of the hub have 32 characters at most', async (t) => {
  refusesId(t, [...'"():<>?@[\\]{}/,;='])
  refusesId(t, ['a'.repeat(129)])
  t.ok(formatEvent({ event: 'a', data: '', id: 'a'.repeat(128) }))
  const cursor = { seq: Number.MAX_SAFE_INTEGER, witness: 'z'.repeat(14) }
  for (const bytes of [
    finalCloseFrame('kicked', cursor),
    finalCloseFrame('kicked', undefined),
    heartbeatFrame(cursor)
  ]) {
    t.match(read(t, bytes).lastEventId, /^[0-9a-z.]{1,32}$/)
  }
})

t.test('W-18: an event without an id leaves the cursor where it was', async (t) => {
  const stream = formatEvent({ event: 'a', data: '', id: '7' }) + formatEvent({ event: 'a', data: '' })
  t.strictSame(
    read(t, stream).events.map(({ lastEventId }) => lastEventId),
    ['7', '7']
  )
})

t.test('W-19: an empty id, which would clear the cursor, is refused', async (t) => refusesId(t, ['']))

t.test('W-20: an event with empty data moves the cursor in every client', async (t) => {
  const cursor = { seq: 36, witness: 'abcdefgh123456' }
  const { events, lastEventId } = read(t, heartbeatFrame(cursor))
  t.strictSame(events, [{ event: 'hub.heartbeat', data: '', lastEventId: formatCursor(cursor) }])
  t.strictSame(parseCursor(lastEventId), cursor)
})

const withTime = (reconnectionTime: number) => formatEvent({ event: 'a', data: '', reconnectionTime })

t.test('W-21: a reconnection time consists of digits alone, or is refused', async (t) => {
  for (const time of [-1, 0.5, 1e21, Number.NaN, Number.POSITIVE_INFINITY, 3_600_001, 2 ** 40]) {
    t.throws(() => withTime(time), TypeError, `${time}`)
  }
  for (const time of ['1', '1\nevent: z', null, {}, [5], 5n]) {
    t.throws(() => withTime(time as number), TypeError)
  }
  for (const time of [0, 1e3, 3_600_000]) t.equal(read(t, withTime(time)).reconnectionTime, time)
})

t.test('W-22: every stream sets its reconnection time, spread by a half, and the last one counts', async (t) => {
  const { open } = await openHub(t, { reconnectionTime: 2_000, maxStreamsPerUser: 0 })
  const times = new Set<number>()
  for (let count = 0; count < 50; count++) {
    const { reconnectionTime } = read(t, (await open()).bytes())
    times.add(reconnectionTime ?? Number.NaN)
  }
  t.ok(times.size > 40, `${times.size} of 50 differ`)
  t.ok([...times].every((time) => time >= 1_000 && time <= 3_000))
  t.equal(read(t, withTime(5) + withTime(6)).reconnectionTime, 6)
})

t.test('W-23: no text leaves a comment', async (t) => {
  for (const text of [...HOSTILE, 'a\rdata: x', 'a\ndata: x\n\n', 'a\r\nid: 1']) {
    const { events, lastEventId } = read(t, formatComment(text) + formatEvent({ event: 'a', data: 'b' }))
    t.strictSame(events, [{ event: 'a', data: 'b', lastEventId: '' }])
    t.equal(lastEventId, '')
  }
  t.throws(() => formatComment(5 as unknown as string), TypeError)
})

t.test('W-24: a stream that is idle for a minute is kept alive at least three times', async (t) => {
  const { clock, open } = await openHub(t)
  const { bytes } = await open()
  clock.advance(60_000)
  const heartbeats = read(t, bytes()).events.filter(({ event }) => event === 'hub.heartbeat')
  t.ok(heartbeats.length >= 3, `${heartbeats.length} heartbeats`)
})

t.test('W-25: a heartbeat never lands inside an event, with any backpressure of the socket', async (t) => {
  const { clock, hub, open } = await openHub(t, { heartbeatInterval: 100, stallTimeout: 0 })
  const { sink, bytes } = await open()
  const wanted: string[] = []
  for (let round = 0; round < 600; round++) {
    const data = `${round}\n${'line\n'.repeat(Math.floor(chance.random() * 20))}`
    wanted.push(data)
    sink.room = chance.random() < 0.5 ? Math.floor(chance.random() * 100) : Number.POSITIVE_INFINITY
    await hub.send('alice', { data })
    clock.advance(Math.floor(chance.random() * 200))
    if (chance.random() < 0.5) await settle(1)
    if (chance.random() < 0.5) sink.drain()
  }
  sink.drain()
  await settle()
  clock.advance(200)
  t.strictSame(
    sink.published.map(({ data }) => data),
    wanted
  )
  const heartbeats = sink.events.filter(({ event }) => event === 'hub.heartbeat')
  t.ok(heartbeats.length > 20, `${heartbeats.length} heartbeats`)
  t.ok(heartbeats.every(({ data }) => data === ''))
  t.equal(read(t, bytes()).events.length, sink.events.length)
})

t.test('W-26: the size of an event is bounded, by 64 KiB by default and by 1 MiB in any case', async (t) => {
  const { maxEventBytes } = resolveOptions({})
  t.equal(maxEventBytes, 65_536)
  t.ok(prepareEvent({ data: 'x'.repeat(65_536) }, maxEventBytes))
  const tooLarge = { code: 'SSE_HUB_ERR_EVENT_TOO_LARGE', statusCode: 413 }
  t.throws(() => prepareEvent({ data: 'x'.repeat(65_537) }, maxEventBytes), tooLarge)
  t.throws(() => prepareEvent({ data: '☃'.repeat(21_846) }, maxEventBytes), tooLarge)
  t.throws(() => resolveOptions({ maxEventBytes: 1_048_577 }), { code: 'SSE_HUB_ERR_INVALID_OPTION' })
})

t.test('an error names all violations of the statements together', async (t) => {
  const right: EventFields = { event: 'a', data: 'b', id: '1' }
  t.equal(formatEvent(right), 'event: a\ndata: b\nid: 1\n\n')
  t.throws(() => formatEvent({ ...right, id: '1\n' }), /event id/)
  t.throws(() => formatEvent({ ...right, event: 'a\n' }), /event name/)
})
