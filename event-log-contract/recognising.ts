import assert from 'node:assert/strict'
import type { EventLog } from '../services/event-log/event-log.ts'
import type { Cursor } from '../services/events/cursor.ts'
import type { GapReason } from '../services/events/gap-reason.ts'
import { cursorOf, type Define, draft, headOf, named, readAll, texts } from './given.ts'

/** Cursors that the log recognises, and its gaps for those that it does not. */
export function recognising<Log extends EventLog>(define: Define<Log>): void {
  define('reports a reset for a cursor of another epoch, and returns all retained events', async (given) => {
    const before = await given.log()
    await before.append(named('old', 5).map((text) => draft('u:alice', text)))
    const log = await given.log()
    const { events } = await readAll(before, 'u:alice', 'oldest')
    const strangers = [await headOf(await given.log()), ...events.map(cursorOf)]
    for (const stranger of strangers) await isGap(log, stranger, 'reset', [])
    await log.append(named('a', 3).map((text) => draft('u:alice', text)))
    for (const stranger of strangers) await isGap(log, stranger, 'reset', named('a', 3))
  })

  define('treats a cursor ahead of its head as a lost tail, and returns all retained events', async (given) => {
    const log = await given.log()
    const { witness } = await headOf(log)
    await isGap(log, { seq: 1, witness }, 'diverged', [])
    await log.append(named('a', 3).map((text) => draft('u:alice', text)))
    const head = await headOf(log)
    for (const ahead of [1, 2, 1_000_000, Number.MAX_SAFE_INTEGER - head.seq]) {
      await isGap(log, { seq: head.seq + ahead, witness: head.witness }, 'diverged', named('a', 3))
    }
  })

  define(
    'treats a cursor with the witness of another entry as a lost tail, for any reader of that entry',
    async (given) => {
      const log = await given.log()
      await log.append([draft('u:alice', 'a1'), draft('u:bob', 'b1'), draft('u:alice', 'a2'), draft('u:bob', 'b2')])
      const cursors = (await readAll(log, ['u:alice', 'u:bob'], 'oldest')).events.map(cursorOf)
      for (const { seq } of cursors) {
        for (const { seq: other, witness } of cursors) {
          if (other !== seq) await isGap(log, { seq, witness }, 'diverged', ['a1', 'a2'])
        }
      }
    }
  )

  define('recognises its head by its witness, though the entry is no longer retained', async (given) => {
    const log = await given.log({ user: 0 })
    await log.append([draft('t:news', 'n'), draft('u:alice', 'a')])
    const head = await headOf(log)
    const page = await readAll(log, ['u:alice', 't:news'], head)
    assert.deepEqual([texts(page), page.gap], [[], undefined])
    const { witness } = cursorOf((await readAll(log, 't:news', 'oldest')).events[0])
    assert.equal((await readAll(log, 't:news', { seq: head.seq, witness })).gap, 'diverged')
  })

  define(
    'returns retained events in pages after an unknown cursor, with the gap on the first page only',
    async (given) => {
      const log = await given.log()
      await log.append(named('a', 5).map((text) => draft('u:alice', text)))
      const stranger = await headOf(await given.log())
      const first = await log.read({ channels: ['u:alice'], from: stranger, limit: 2 })
      assert.deepEqual([texts(first), first.remaining, first.gap], [['a1', 'a2'], 3, 'reset'])
      const second = await log.read({ channels: ['u:alice'], from: first.next, limit: 5 })
      assert.deepEqual([texts(second), second.remaining, second.gap], [['a3', 'a4', 'a5'], 0, undefined])
    }
  )

  define(
    'answers a wrong witness alike, whether the entry is retained, evicted, or of another reader',
    async (given) => {
      const log = await given.log({ user: 2, topic: 0 })
      await log.append(named('a', 5).map((text) => draft('u:alice', text)))
      await log.append([draft('t:none', 'n'), draft('u:bob', 'b'), draft('u:bob', 'c')])
      const { seq: head, witness } = await headOf(log)
      const wrong = witness.slice(0, -1) + (witness.endsWith('0') ? '1' : '0')
      for (let seq = 1; seq <= head; seq++) {
        const page = await readAll(log, 'u:carol', { seq, witness: wrong })
        assert.equal(page.gap, 'diverged', `${seq} of ${head}`)
      }
    }
  )

  define('never fails for a cursor, however strange', async (given) => {
    const log = await given.log()
    await log.append(named('a', 3).map((text) => draft('u:alice', text)))
    const { seq, witness } = await headOf(log)
    const witnesses = [
      witness,
      witness.toUpperCase(),
      '',
      '0',
      witness.slice(0, 8),
      `${witness}0`,
      '*',
      '\0',
      '__proto__',
      'é',
      '💥'.repeat(99)
    ]
    const numbers = [0, 1, seq, seq + 1, 2 ** 31, 2 ** 32, 2 ** 32 + seq, 2 ** 52, Number.MAX_SAFE_INTEGER]
    for (const number of numbers) {
      for (const text of witnesses) {
        const page = await readAll(log, 'u:alice', { seq: number, witness: text })
        const isKnown = page.gap === undefined
        assert.ok(!isKnown || text.startsWith(witness.slice(0, 1)), `${number} with ${JSON.stringify(text)} is known`)
        assert.deepEqual(texts(page), isKnown ? named('a', 3).slice(number) : named('a', 3))
        assert.equal(page.next.seq, seq)
      }
    }
  })
}

async function isGap(log: EventLog, from: Cursor, gap: GapReason, retained: readonly string[]): Promise<void> {
  const page = await readAll(log, 'u:alice', from)
  assert.deepEqual([page.gap, texts(page), page.remaining], [gap, retained, 0], `after ${from.seq}`)
  assert.deepEqual(page.next, await headOf(log))
}
