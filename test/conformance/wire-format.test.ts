import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Channel } from '../../services/events/channel.ts'
import type { LogEvent } from '../../services/events/log-event.ts'
import {
  type EventFields,
  formatComment,
  formatEvent,
  isEventId,
  isEventName,
  MAX_RECONNECTION_TIME
} from '../../services/events/wire-format.ts'
import { PendingEvents } from '../../services/streams/pending-events.ts'
import { effort } from '../support/effort.ts'
import { StrictParser } from '../support/strict-parser.ts'
import { CLIENTS, cut, eventsourceParser, type Reading, strict, undici } from './clients.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
const RUNS = Number(process.env.TEST_RUNS ?? effort(2_000, 20_000))
t.comment(`TEST_SEED=${seed} TEST_RUNS=${RUNS}`)

const utf8 = new TextEncoder()

function check<Inputs>(t: Test, property: fc.IProperty<Inputs>, numRuns = RUNS): void {
  const result = fc.check(property, { seed, numRuns })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
}

/**
 * Texts that break parsers: line ends of all kinds, field names, characters that only some treat as a line end or as
 * space.
 */
const HOSTILE = [
  ...['\r', '\n', '\r\n', '\n\n', '\r\r', '\n\r', '\0', ' ', ':', '  ', '\t', '\v', '\f', '\x85', '\u2028', '\u2029'],
  ...['\uFEFF', 'data: ', 'data:', 'data', 'event: hub.close', 'id: 1', 'id', 'retry: 1', ': ', 'é', '☃', '👩‍👩‍👧']
]
const LINE_BREAKERS = /[\r\n\0]/g

const text = fc
  .array(fc.oneof({ arbitrary: fc.constantFrom(...HOSTILE), weight: 2 }, fc.string({ unit: 'binary', maxLength: 6 })), {
    maxLength: 10
  })
  .map((parts) => parts.join(''))
const name = text.map((raw) => raw.replace(LINE_BREAKERS, '') || 'message')
const id = fc.string({
  unit: fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyz.'),
  minLength: 1,
  maxLength: 128
})
const event: fc.Arbitrary<EventFields> = fc.record({ event: name, data: text, id: fc.option(id, { nil: undefined }) })
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })

/** The events that a client should read, by W-04 and W-18. */
function expected(events: readonly EventFields[]): Reading['events'] {
  let lastEventId = ''
  return events.map(({ event, data, id }) => {
    lastEventId = id ?? lastEventId
    return { event, data: data.replace(/\r\n?/g, '\n'), lastEventId }
  })
}

/** Every client reads these events from the stream, a byte, two bytes, and some other bytes at a time. */
function assertRead(stream: string, events: readonly EventFields[], random: readonly number[]): void {
  const bytes = utf8.encode(stream)
  const wanted = JSON.stringify(expected(events))
  for (const client of CLIENTS) {
    for (const pieces of [[1], [2], random, [bytes.length + 1]]) {
      const got = JSON.stringify(client.read(cut(bytes, pieces)).events)
      if (got !== wanted) throw new Error(`${client.name}, in pieces of ${pieces}, read ${got} instead of ${wanted}`)
    }
  }
}

t.test('every event arrives unchanged, at every client, however its bytes are cut', async (t) => {
  check(
    t,
    fc.property(event, sizes, (one, random) => assertRead(formatEvent(one), [one], random))
  )
})

t.test('events do not run into one another, with any comments between', async (t) => {
  const between = fc.oneof(fc.constant(''), text.map(formatComment))
  const step = fc.tuple(between, event, between)
  check(
    t,
    fc.property(fc.array(step, { maxLength: 5 }), sizes, (steps, random) => {
      const stream = steps.map(([before, one, after]) => before + formatEvent(one) + after).join('')
      assertRead(
        stream,
        steps.map(([, one]) => one),
        random
      )
    })
  )
})

t.test('an event name is accepted if and only if a line can hold it', async (t) => {
  const byHand = (value: unknown) => {
    if (typeof value !== 'string' || value.length === 0) return false
    for (let at = 0; at < value.length; at++) if ([0, 10, 13].includes(value.charCodeAt(at))) return false
    return true
  }
  check(
    t,
    fc.property(fc.oneof(text, fc.anything()), (value) => {
      if (isEventName(value) !== byHand(value)) throw new Error('differs from the grammar')
      assertThrows(!byHand(value), () => formatEvent({ event: value as string, data: '' }))
    })
  )
})

t.test('an id is accepted if and only if every client can send it back', async (t) => {
  const byHand = (value: unknown) => {
    if (typeof value !== 'string' || value.length < 1 || value.length > 128) return false
    return [...value].every((letter) => '0123456789abcdefghijklmnopqrstuvwxyz.'.includes(letter))
  }
  const near = fc.oneof(
    id,
    text,
    fc.tuple(id, fc.constantFrom(...HOSTILE, 'A')).map(([a, b]) => a + b)
  )
  check(
    t,
    fc.property(fc.oneof(near, fc.anything()), (value) => {
      if (isEventId(value) !== byHand(value)) throw new Error('differs from the grammar')
      // Undefined means no id, which is allowed.
      if (value !== undefined) {
        assertThrows(!byHand(value), () => formatEvent({ event: 'a', data: '', id: value as string }))
      }
    })
  )
})

t.test('a reconnection time is accepted if and only if it consists of digits and is at most an hour', async (t) => {
  const numbers = fc.oneof(fc.integer({ min: -10, max: 2 * MAX_RECONNECTION_TIME }), fc.double(), fc.anything())
  check(
    t,
    fc.property(numbers, (value) => {
      const isGood =
        typeof value === 'number' && Math.floor(value) === value && value >= 0 && value <= MAX_RECONNECTION_TIME
      // Undefined means no field, which is allowed.
      if (value === undefined) return
      const format = () => formatEvent({ event: 'a', data: '', reconnectionTime: value as number })
      assertThrows(!isGood, format)
      if (isGood && !/^event: a\ndata: \nretry: \d+\n\n$/.test(format())) throw new Error('is not digits alone')
    })
  )
})

t.test(
  'the written text is UTF-8 without a CR and ends on an event boundary, even of text that is not Unicode',
  async (t) => {
    const broken = fc.oneof(
      text,
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((u) => String.fromCharCode(u)) })
    )
    check(
      t,
      fc.property(broken, broken, (data, comment) => {
        for (const frame of [formatEvent({ event: 'a', data }), formatComment(comment)]) {
          const bytes = Buffer.from(frame)
          new TextDecoder('utf-8', { fatal: true }).decode(bytes)
          if (bytes.includes(13)) throw new Error('holds a CR')
          if (!frame.endsWith('\n')) throw new Error('does not end its last line')
          if (frame.endsWith('\n\n') === frame.startsWith(':'))
            throw new Error('a blank line ends an event, and nothing else')
        }
      })
    )
  }
)

t.test('no character of the data, in any place, makes more events or fewer', async (t) => {
  const neighbours = (data: string) =>
    ['before', data, 'after'].map((text) => formatEvent({ event: 'a', data: text, id: '1' })).join('')
  check(
    t,
    fc.property(
      text,
      fc.nat(),
      fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary' })),
      (data, at, put) => {
        const position = at % (data.length + 1)
        const bytes = utf8.encode(neighbours(data.slice(0, position) + put + data.slice(position + 1)).toWellFormed())
        for (const client of CLIENTS) {
          const { events, lastEventId } = client.read([bytes])
          const first = events[0]?.data
          if (events.length !== 3 || first !== 'before' || events[2]?.data !== 'after' || lastEventId !== '1') {
            throw new Error(`${client.name} read ${JSON.stringify(events)}`)
          }
        }
      }
    )
  )
})

t.test('a comment changes nothing for any client, with any text', async (t) => {
  check(
    t,
    fc.property(text, event, sizes, (comment, one, random) => {
      const bytes = utf8.encode(formatComment(comment))
      const parser = new StrictParser()
      parser.feed(bytes)
      if (!parser.isAtBoundary) throw new Error('leaves something behind')
      for (const client of CLIENTS) {
        const { events, lastEventId, reconnectionTime } = client.read(cut(bytes, random))
        if (events.length > 0 || lastEventId !== '' || reconnectionTime !== undefined) throw new Error(client.name)
      }
      assertRead(formatComment(comment) + formatEvent(one), [one], random)
    }),
    RUNS / 4
  )
})

t.test('a stream that is cut anywhere dispatches whole events only, and none that was not sent', async (t) => {
  check(
    t,
    fc.property(fc.array(event, { minLength: 1, maxLength: 3 }), fc.nat(), (events, at) => {
      const bytes = utf8.encode(events.map(formatEvent).join(''))
      const wanted = expected(events)
      for (const client of CLIENTS) {
        const got = client.read([bytes.subarray(0, at % bytes.length)]).events
        if (JSON.stringify(got) !== JSON.stringify(wanted.slice(0, got.length))) throw new Error(client.name)
      }
    })
  )
})

t.test('bytes that many streams share are equal to the bytes of each stream alone', async (t) => {
  let seq = 0
  const logged = ({ event, data, id }: EventFields): LogEvent => ({
    cursor: { seq: ++seq, witness: 'w' },
    id: id ?? null,
    channels: ['everyone' satisfies Channel],
    event,
    data,
    time: 0,
    final: false,
    frame: undefined
  })
  check(
    t,
    fc.property(fc.array(event, { minLength: 1, maxLength: 5 }), (events) => {
      const [first, ...rest] = events.map(logged) as [LogEvent, ...LogEvent[]]
      const pending = rest.reduce((before, one) => before.and(new PendingEvents(one)), new PendingEvents(first))
      const alone = Buffer.from(events.map(formatEvent).join(''))
      if (!pending.bytes.plain.equals(alone)) throw new Error('the bytes differ')
    }),
    RUNS / 4
  )
})

t.test('the three parsers agree on any bytes, which guards these tests themselves', async (t) => {
  const line = fc.oneof(
    fc.constantFrom(
      'data: x',
      'data:',
      'data',
      'data:  y',
      'data:z:z',
      'Data: z',
      ' data: x',
      'foo: bar',
      ': note',
      ':'
    ),
    fc.constantFrom(
      'event: a',
      'event:b',
      'id: 1',
      'id:',
      'id',
      'id: \0',
      'retry: 5',
      'retry: -5',
      'retry:',
      'retry: 1e3'
    ),
    fc.constantFrom('', '', '\uFEFF', '\uFEFFdata: x', 'data: \uFEFF', 'data: ☃\0', 'dat')
  )
  const lineEnd = fc.constantFrom('\n', '\r', '\r\n')
  const piece = fc.oneof(
    { arbitrary: fc.tuple(line, lineEnd).map((parts) => utf8.encode(parts.join(''))), weight: 6 },
    fc.uint8Array({ maxLength: 3 })
  )
  const bytes = fc.oneof(
    { arbitrary: fc.array(piece, { maxLength: 24, size: 'max' }).map((pieces) => Buffer.concat(pieces)), weight: 4 },
    fc.uint8Array({ maxLength: 64 })
  )
  let compared = 0
  check(
    t,
    fc.property(bytes, sizes, (raw, random) => {
      // After a truncated line or a CR as the last byte, parsers may wait, or not: let all reach the end.
      const stream = new Uint8Array([...raw, 10, 10])
      // The judge refuses bytes that are not UTF-8, so it gets decoded text; the others decode by themselves.
      const decoded = new TextDecoder('utf-8', { ignoreBOM: true }).decode(stream)
      // Known: undici keeps an event's name though an empty `event` follows; eventsource-parser takes Latin-1 for a
      // BOM.
      fc.pre(!/(^|[\r\n])event(: ?)?[\r\n]/.test(decoded) && !/^\uFEFF?\u00EF\u00BB\u00BF/.test(decoded))
      const judged = strict.read([utf8.encode(decoded)])
      for (const pieces of [[1], [2], random]) {
        const chunks = cut(stream, pieces)
        assertSame(undici.read(chunks), judged, 'undici')
        const byParser = eventsourceParser.read(chunks)
        // It does not report an id without an event.
        assertSame(byParser.events.map(withoutId), judged.events.map(withoutId), 'eventsource-parser')
        assertSame(byParser.reconnectionTime, judged.reconnectionTime, 'eventsource-parser')
      }
      compared += judged.events.length
    })
  )
  t.ok(compared > RUNS / 4, `${compared} events were compared`)
})

function withoutId({ event, data }: Reading['events'][number]): { event: string; data: string } {
  return { event, data }
}

function assertSame(got: unknown, wanted: unknown, who: string): void {
  const [left, right] = [JSON.stringify(got), JSON.stringify(wanted)]
  if (left !== right) throw new Error(`${who} read ${left} instead of ${right}`)
}

function assertThrows(should: boolean, act: () => unknown): void {
  let error: unknown
  try {
    act()
  } catch (thrown) {
    error = thrown
  }
  if (should !== error instanceof TypeError) throw new Error(should ? 'was accepted' : `was refused: ${error}`)
}
