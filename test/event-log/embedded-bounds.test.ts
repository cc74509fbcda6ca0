import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import t, { type Test } from 'tap'
import { type EmbeddedLogOptions, embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'

// The embedded log stays within its bounds, and shrinks to smaller ones slice by slice.

/** Number of events that one transaction drops, beyond those that it added. */
const SLICE = 256

function draft(channel: NewEvent['channels'][number], rest: Partial<NewEvent> = {}): NewEvent {
  return {
    channels: [channel],
    ...{ event: 'message', data: 'x'.repeat(100), transient: false, final: false, streams: 0, ...rest }
  }
}

async function filled(t: Test, count: number, event: (at: number) => NewEvent): Promise<EmbeddedLogOptions> {
  const path = mkdtempSync(join(tmpdir(), 'embedded-bounds-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  const options = { path, durability: 'process', clock: new FakeClock() } as const
  const log = await embeddedLog({ ...options, retention: { user: 100_000, topic: 100_000 } })
  for (let at = 0; at < count; at += 1_000)
    await log.append(Array.from({ length: Math.min(1_000, count - at) }, (_, index) => event(at + index)))
  await log.close()
  return options
}

/** Numbers of retained events after each turn of the event loop, until they stay the same. */
async function shrinking(log: EventLog): Promise<number[]> {
  const counts = [log.stats().events]
  for (let idle = 0; idle < 10; ) {
    await new Promise((resolve) => setImmediate(resolve))
    const { events } = log.stats()
    idle = events === counts.at(-1) ? idle + 1 : 0
    if (idle === 0) counts.push(events)
  }
  return counts
}

const largestStep = (counts: number[]) => Math.max(...counts.map((count, at) => (counts[at - 1] ?? count) - count))

t.test('a store that is opened with a smaller bound shrinks to it in slices, without an append', async (t) => {
  const options = await filled(t, 6_000, (at) => draft(`u:${at % 40}`))
  const log = await embeddedLog({ ...options, retention: { bytes: 100_000 } })
  t.teardown(() => log.close())
  ;(options.clock as FakeClock).advance(1_000)
  const counts = await shrinking(log)
  t.equal(counts[0], 6_000)
  t.ok(log.stats().bytes <= 100_000, `${log.stats().bytes} bytes`)
  t.ok(largestStep(counts) <= SLICE, `${largestStep(counts)} at a time`)
})

t.test('a channel that exceeds a smaller bound shrinks to it in slices after the next append', async (t) => {
  for (const retention of [{ topic: 10 }, { channelBytes: 3_000 }]) {
    const options = await filled(t, 3_000, () => draft('t:news'))
    const log = await embeddedLog({ ...options, retention })
    t.teardown(() => log.close())
    await log.append([draft('t:news')])
    const counts = [3_000, ...(await shrinking(log))]
    t.ok(counts.length > 10)
    t.ok(largestStep(counts) <= SLICE, `${largestStep(counts)} at a time`)
    t.ok(log.stats().events <= 12, `${log.stats().events} events`)
  }
})

t.test('room for the events of an append is made at once, for any number of events', async (t) => {
  const options = await filled(t, 0, () => draft('t:news'))
  const log = await embeddedLog({ ...options, retention: { bytes: 100_000 } })
  t.teardown(() => log.close())
  for (let batch = 0; batch < 3; batch++) {
    await log.append(Array.from({ length: 1_000 }, (_, at) => draft(`u:${at}`)))
    t.ok(log.stats().bytes <= 100_000)
  }
  await log.append([draft('u:large', { data: 'x'.repeat(60_000) })])
  t.ok(log.stats().bytes <= 100_000)
})

t.test('the number of stored idempotency keys stays within its bound, however many each append brings', async (t) => {
  const options = await filled(t, 103_000, (at) =>
    draft('u:alice', { transient: true, idempotency: { scope: 's', key: `k${at}`, digest: '' } })
  )
  const root = open({ path: options.path, noSubdir: false, maxDbs: 16, pageSize: 4_096, overlappingSync: false })
  t.equal(root.openDB('keys', {}).getKeysCount(), 100_000)
  t.equal(root.openDB('keyOrder', {}).getKeysCount(), 100_000)
  await root.close()
})
