import fc from 'fast-check'
import t from 'tap'
import { formatCursor, isEnded, parseCursor } from '../../services/events/cursor.ts'
import { buildHub, failOnWarnings } from '../support/build.ts'
import { settle } from '../support/fake-sink.ts'
import { hostileText, survives } from '../support/fuzz.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { startHub } from '../support/test-hub.ts'

failOnWarnings(t)
t.setTimeout(600_000)

const letter = fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyz.')

/** Real cursors, and variants with a few letters changed, left out, doubled, or recombined. */
function cursorsNear(real: readonly string[]): fc.Arbitrary<string> {
  const one = fc.constantFrom(...real)
  const bent = fc
    .tuple(one, fc.nat(30), fc.nat(3), fc.array(letter, { maxLength: 3 }))
    .map(([cursor, at, gone, more]) => cursor.slice(0, at) + more.join('') + cursor.slice(at + gone))
  const mixed = fc.tuple(one, one, fc.nat(24)).map(([a, b, at]) => a.slice(0, at) + b.slice(at))
  const counted = fc
    .tuple(one, fc.integer({ min: -3, max: 2 ** 40 }))
    .map(([cursor, by]) => cursor.replace(/^[^.]+/, (seq) => Math.abs(Number.parseInt(seq, 36) + by).toString(36)))
  const ended = one.map((cursor) => `${cursor}.end`)
  const made = fc.array(letter, { minLength: 1, maxLength: 32 }).map((letters) => letters.join(''))
  return fc.oneof(one, bent, mixed, counted, ended, made, hostileText)
}

t.test(
  "no cursor, however it was obtained, shows another user's event, loses one without a gap, or repeats one",
  async (t) => {
    const { hub, open, logged } = await startHub(t, { maxStreamsPerUser: 0 })
    const mine: string[] = []
    const beginning = hub.cursor()
    const ids: string[] = []
    for (let at = 0; at < 60; at++) {
      const to = (['alice', 'bob', 'carol'] as const)[at % 3] as string
      const { id } = await hub.send(to, { data: `${to} ${at}` })
      ids.push(id as string)
      if (to === 'alice') mine.push(`${to} ${at}`)
    }
    await survives(t, cursorsNear([beginning, ...ids]), 5_000, async (lastEventId) => {
      const { stream, sink } = open({ user: 'alice', lastEventId })
      await settle(1)
      const got = sink.published.map(({ data }) => data)
      stream.close('client')
      const known = ids.indexOf(lastEventId)
      // Before the first event of this epoch nothing is missing.
      const isBeginning = lastEventId === beginning
      const pending = known === -1 ? mine : mine.filter((data) => Number(data.split(' ')[1]) > known)
      if (JSON.stringify(got) !== JSON.stringify(pending) && lastEventId !== '') throw new Error(`received ${got}`)
      const gap = sink.events.find(({ event }) => event === 'hub.gap')
      if ((gap === undefined) !== (known !== -1 || isBeginning || lastEventId === ''))
        throw new Error(`the gap is ${gap?.data ?? 'missing'}`)
    })
    t.same(logged, [])
    t.equal(hub.stats().streams, 0)
  }
)

t.test('a text is a cursor only if formatting returns the same text', async (t) => {
  const witnesses = ['1.00000000000000', 'zz.abcdefgh123456', '2gosa7pa2gv.zzzzzzzzzzzzzz']
  await survives(t, fc.oneof(cursorsNear(witnesses), fc.string({ unit: 'binary' })), 20_000, async (text) => {
    const cursor = parseCursor(text)
    if (cursor === undefined) return
    if (formatCursor(cursor) !== text || !/^[0-9a-z.]{1,32}$/.test(text)) throw new Error(`read as ${cursor.seq}`)
    if (isEnded(text)) throw new Error('is an end as well')
  })
})

t.test('for any bytes in a Last-Event-ID header, the answer is a stream, its end, or an invalid header', async (t) => {
  const host = await buildHub(t, { hub: { maxStreamsPerUser: 0 } })
  await host.listen()
  const ids = await Promise.all(
    Array.from({ length: 20 }, async (_, at) => (await host.app.sse.send('alice', { data: at })).id as string)
  )
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((some) => Buffer.from(some).toString('latin1'))
  const large = fc.integer({ min: 100, max: 17_000 }).map((length) => 'z'.repeat(length))
  const value = fc.oneof({ arbitrary: cursorsNear(ids), weight: 4 }, bytes, large).map((text) =>
    Buffer.from(text, 'latin1')
      .toString('latin1')
      .replace(/[\r\n]/g, '')
  )
  await survives(t, fc.tuple(value, fc.boolean()), 200, async ([text, isTwice]) => {
    const raw = await RawSocket.open(host.port)
    const header = `Last-Event-ID: ${text}\r\n`
    raw.socket.write(`GET /events?user=bob HTTP/1.1\r\nHost: hub\r\n${header}${isTwice ? header : ''}\r\n`, 'latin1')
    await raw.until(() => raw.text.includes('hub.welcome') || raw.isClosed || raw.text.includes(' 204 '), 'an answer')
    const status = Number(raw.text.slice(9, 12))
    if (![200, 204, 400, 431].includes(status)) throw new Error(`answered ${raw.head}`)
    if (status === 200 && !/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) throw new Error('an invalid header was accepted')
    if (status === 204 && !isEnded(text.trim())) throw new Error('closed for good')
    if (raw.parser.events.some(({ event }) => event === 'message')) throw new Error("another user's event")
    raw.socket.destroy()
  })
  t.same(host.errors, [])
})
