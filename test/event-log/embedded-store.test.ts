import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { type EmbeddedLogOptions, embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog, ReadFrom, ReadResult } from '../../services/event-log/event-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { Random } from '../support/random.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
t.comment(`TEST_SEED=${SEED}`)

const DAMAGED = {
  code: 'SSE_HUB_ERR_LOG_STORE',
  message: /is damaged: .*Nothing in it was changed; restore it, or move/
}

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'embedded-store-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function draft(channels: Channel[] | Channel, data: string, rest: Partial<NewEvent> = {}): NewEvent {
  const to = typeof channels === 'string' ? [channels] : channels
  return { channels: to, event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}

async function read(
  log: EventLog,
  channel: Channel,
  from: ReadFrom = 'oldest',
  limit = 1_000_000
): Promise<ReadResult> {
  return log.read({ channels: [channel], from, limit })
}

/** A closed log of small rows, large rows and every kind of table row; returns its folder. */
async function filled(t: Test): Promise<string> {
  const path = folder(t)
  const log = await embeddedLog({ path, durability: 'process', retention: { user: 50 } })
  for (let batch = 0; batch < 20; batch++) {
    await log.append(
      Array.from({ length: 50 }, (_, at) =>
        draft([`u:${at % 7}`, 'everyone'], `${batch}/${at} `.repeat(at === 0 ? 3_000 : 30), {
          idempotency: idempotent(`${batch}/${at}`),
          ttl: at % 5 === 0 ? 1_000_000 : undefined,
          collapseKey: at % 9 === 0 ? 'c' : undefined
        })
      )
    )
  }
  await log.close()
  return path
}

function copyOf(t: Test, path: string): string {
  const copy = folder(t)
  for (const file of ['data.mdb', 'event-log.json']) copyFileSync(join(path, file), join(copy, file))
  return copy
}

t.test('an invalid option is rejected by its name', async (t) => {
  const wrong: [string, object][] = [
    ['path', {}],
    ['path', { path: '' }],
    ['path', { path: 7 }],
    ['path', { path: 'a\0b' }],
    ['durability', { path: 'x', durability: 'none' }],
    ['retention.user', { path: 'x', retention: { user: -1 } }],
    ['idempotencyWindow', { path: 'x', idempotencyWindow: 0 }],
    ['clock', { path: 'x', clock: {} }],
    ['folder', { path: 'x', folder: 'y' }]
  ]
  for (const [name, options] of wrong) {
    await t.rejects(embeddedLog(options as EmbeddedLogOptions), {
      code: 'SSE_HUB_ERR_INVALID_OPTION',
      message: new RegExp(`^Option ${name}:`)
    })
  }
})

t.test('a folder that cannot be created is reported, with the reason', async (t) => {
  const path = join(folder(t), 'file')
  writeFileSync(path, 'not a folder')
  for (const bad of [path, join(path, 'below')]) {
    await t.rejects(embeddedLog({ path: bad }), { code: 'SSE_HUB_ERR_LOG_STORE', message: /EEXIST|ENOTDIR/ })
  }
})

t.test('one folder has one owner, also within a process, and is free after it was closed', async (t) => {
  const path = folder(t)
  const log = await embeddedLog({ path })
  await t.rejects(embeddedLog({ path }), { code: 'SSE_HUB_ERR_LOG_IN_USE', message: new RegExp(path) })
  await t.rejects(embeddedLog({ path: join(path, '..', path.split('/').at(-1) as string, '.') }), {
    code: 'SSE_HUB_ERR_LOG_IN_USE'
  })
  await log.append([draft('u:alice', 'a')])
  await log.close()
  const again = await embeddedLog({ path })
  t.equal(again.stats().head, 1)
  await again.close()
})

t.test('a store of another version, or of another kind, is refused and not changed', async (t) => {
  const path = await filled(t)
  const stamp = join(path, 'event-log.json')
  const good = readFileSync(stamp, 'utf8')
  const cases: [string, RegExp][] = [
    [good.replace('2}', '1}'), /is of version 1, and this hub reads version 2; use the hub that wrote it/],
    [good.replace('2}', '"x"}'), /is of version "x"/],
    ['{"format":"something else"}', /does not belong to an event log/],
    ['null', /does not belong to an event log/],
    ['', /cannot be read/],
    ['{"format"', /cannot be read/]
  ]
  for (const [text, message] of cases) {
    writeFileSync(stamp, text)
    await t.rejects(embeddedLog({ path }), { code: 'SSE_HUB_ERR_LOG_STORE', message }, text)
    t.equal(readFileSync(stamp, 'utf8'), text)
  }
  writeFileSync(stamp, good)
  const log = await embeddedLog({ path })
  t.equal(log.stats().head, 1_000)
  await log.close()
})

t.test('a store that was truncated or emptied is refused, and not changed', async (t) => {
  const path = await filled(t)
  const { size } = statSync(join(path, 'data.mdb'))
  const damages: [string, (data: string) => void][] = [
    ['gone', (data) => rmSync(data)],
    ...[0, 1, 100, 4_095, 4_096, 8_192, 12_288, size >> 2, size >> 1].map(
      (length): [string, (data: string) => void] => [`truncated at ${length}`, (data) => truncateSync(data, length)]
    ),
    ['zeros', (data) => writeFileSync(data, Buffer.alloc(size))],
    ['text', (data) => writeFileSync(data, 'not a store'.repeat(size >> 3))]
  ]
  for (const [name, damage] of damages) {
    const copy = copyOf(t, path)
    const data = join(copy, 'data.mdb')
    damage(data)
    const before = name === 'gone' ? '' : readFileSync(data, 'latin1')
    await t.rejects(embeddedLog({ path: copy }), { code: 'SSE_HUB_ERR_LOG_STORE' }, name)
    await t.rejects(embeddedLog({ path: copy }), { code: 'SSE_HUB_ERR_LOG_STORE' }, `${name}, a second time`)
    if (name !== 'gone') t.ok(readFileSync(data, 'latin1') === before, `${name}: not changed`)
  }
})

t.test('a store in which pages were overwritten is refused, or works', async (t) => {
  const path = await filled(t)
  const { size } = statSync(join(path, 'data.mdb'))
  const random = new Random(SEED)
  let refused = 0
  const rounds = 60
  for (let round = 0; round < rounds; round++) {
    const copy = copyOf(t, path)
    const data = join(copy, 'data.mdb')
    const bytes = readFileSync(data)
    const page = random.from(2, size / 4_096 - 1) * 4_096
    const isWhole = random.chance(0.5)
    const at = page + (isWhole ? 0 : random.from(0, 23))
    for (let byte = at; byte < at + (isWhole ? 4_096 : 1); byte++) bytes[byte] = random.from(0, 255)
    writeFileSync(data, bytes)
    try {
      const log = await embeddedLog({ path: copy })
      await log.close()
    } catch (error) {
      refused++
      t.match(error, DAMAGED)
    }
    rmSync(copy, { recursive: true })
  }
  t.comment(`${refused} of ${rounds} refused`)
  t.ok(refused > 0, 'the others were unused pages')
})

t.test(
  'a store with a page that has its free space elsewhere is refused, also if only a write would use the space',
  async (t) => {
    const path = await filled(t)
    const store = readFileSync(join(path, 'data.mdb'))
    const pages = Array.from({ length: store.length / 4_096 - 2 }, (_, at) => (at + 2) * 4_096)
    const tablePages = pages.filter((page) => store.readUInt16LE(page + 18) === 2)
    let refused = 0
    for (const page of tablePages.filter((_, at) => at % 4 === 0)) {
      const copy = copyOf(t, path)
      const bytes = Buffer.from(store)
      bytes.writeUInt16LE(0xb120, page + 22)
      writeFileSync(join(copy, 'data.mdb'), bytes)
      try {
        await (await embeddedLog({ path: copy })).close()
      } catch (error) {
        refused++
        t.match(error, DAMAGED)
      }
      rmSync(copy, { recursive: true })
    }
    t.ok(refused > 0, 'the others were unused pages')
  }
)

t.test('a store whose creation was interrupted is created again', async (t) => {
  const path = folder(t)
  writeFileSync(join(path, 'data.mdb'), '')
  const log = await embeddedLog({ path })
  await log.append([draft('u:alice', 'a')])
  await log.close()
  rmSync(join(path, 'event-log.json'))
  const again = await embeddedLog({ path })
  t.equal(again.stats().head, 1, 'one that lacks only its stamp is accepted')
  await again.close()
})

t.test('the file stops growing under a steady load, and stays below its bound', async (t) => {
  const path = folder(t)
  const bytes = 4_000_000
  const log = await embeddedLog({ path, durability: 'process', retention: { bytes }, idempotencyWindow: 1_000 })
  const random = new Random(SEED)
  const sizes: number[] = []
  for (let round = 0; round < 75; round++) {
    for (let batch = 0; batch < 10; batch++) {
      await log.append(
        Array.from({ length: 100 }, (_, at) =>
          draft(
            `u:${random.from(1, 300)}`,
            'x'.repeat(random.chance(0.1) ? random.from(0, 9_000) : random.from(0, 400)),
            {
              idempotency: idempotent(`${round}/${batch}/${at}`)
            }
          )
        )
      )
    }
    sizes.push(statSync(join(path, 'data.mdb')).size)
    t.ok(log.stats().bytes <= bytes)
  }
  t.comment(`${sizes.map((size) => (size / 1_000_000).toFixed(1)).join(' ')} MB for ${bytes / 1_000_000}`)
  t.ok(Math.max(...sizes) <= 2 * bytes + 16_000_000)
  // It grows for some 60 rounds, because an entry of several pages may find no free pages side by side.
  t.ok((sizes.at(-1) as number) <= 1.05 * (sizes[59] as number), 'it has stopped growing')
  await log.close()
})

t.test('an event is counted once in what remains, wherever positions are empty', async (t) => {
  const clock = new FakeClock()
  const log = await embeddedLog({ path: folder(t), durability: 'process', clock, retention: { topic: 100_000 } })
  const random = new Random(SEED)
  for (let batch = 0; batch < 14; batch++) {
    await log.append(
      Array.from({ length: 1_000 }, (_, at) =>
        draft('t:news', `${batch}/${at}`, {
          ttl: random.chance(0.2) ? random.from(1, 900) : undefined,
          collapseKey: random.chance(0.2) ? `k${random.from(0, 999)}` : undefined
        })
      )
    )
  }
  const check = async () => {
    const { events } = await read(log, 't:news')
    for (let count = 0; count < 40; count++) {
      const at = random.from(0, events.length - 2)
      const page = await read(log, 't:news', events[at]?.cursor as Cursor, random.from(1, 50))
      t.equal(page.remaining, events.length - 1 - at - page.events.length)
      t.equal(page.events[0]?.id, events[at + 1]?.id)
    }
    return events.length
  }
  t.ok((await check()) < 13_000)
  clock.advance(1_000)
  await untilNothingIsDue(log)
  t.ok((await check()) < 10_500)
  await log.close()
})

/** Waits until no slice of events is due to be dropped. */
async function untilNothingIsDue(log: EventLog): Promise<void> {
  for (let before = -1; before !== log.stats().events; ) {
    before = log.stats().events
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

t.test('events that expire at the same time are dropped in slices, and no reader sees them meanwhile', async (t) => {
  const clock = new FakeClock()
  const retention = { age: 5_000, user: 10_000 }
  const log = await embeddedLog({ path: folder(t), durability: 'process', clock, retention })
  const start = (await read(log, 'everyone')).next
  for (const [channel, ttl] of [
    ['u:lapsing', 2_000],
    ['u:ageing', undefined]
  ] as const) {
    for (let batch = 0; batch < 3; batch++)
      await log.append(Array.from({ length: 900 }, (_, at) => draft([channel, 'everyone'], `${at}`, { ttl })))
  }
  clock.block(500)
  await log.append([draft(['u:ageing', 'u:lapsing'], 'last')])
  clock.advance(2_000)
  t.ok(log.stats().events > 2_701, 'not all are dropped at once')
  const expired = await read(log, 'u:lapsing', start)
  t.same([expired.events.map(({ data }) => data), expired.gap, expired.remaining], [['last'], undefined, 0])
  t.same(
    (await read(log, 'u:lapsing', { last: 5 })).events.map(({ data }) => data),
    ['last']
  )
  await untilNothingIsDue(log)
  t.equal(log.stats().events, 2_701)
  clock.block(2_600)
  const aged = await read(log, 'u:ageing', start)
  t.same([aged.events.map(({ data }) => data), aged.gap, aged.evicted], [['last'], 'evicted', 5_400])
  t.same(
    (await read(log, 'u:ageing', { last: 5 })).events.map(({ data }) => data),
    ['last']
  )
  t.equal(log.stats().events, 2_701, 'and still none is dropped')
  clock.advance(1)
  await untilNothingIsDue(log)
  t.equal(log.stats().events, 1)
  await log.close()
})

t.test('of many empty channels, those evicted longest ago share one evicted number', async (t) => {
  const path = folder(t)
  const log = await embeddedLog({ path, durability: 'process', retention: { user: 0 } })
  const start = (await read(log, 'everyone')).next
  for (let batch = 0; batch < 101; batch++)
    await log.append(Array.from({ length: 1_000 }, (_, at) => draft(`u:${batch * 1_000 + at}`, 'x')))
  for (let more = 0; more < 20; more++) await log.append([draft('u:once more', 'x')])
  const evicted = async (log: EventLog, channel: Channel) => (await read(log, channel, start)).evicted
  const forgotten = await evicted(log, 'u:nobody')
  t.ok(forgotten >= 1_000 && forgotten < 2_000, `${forgotten}`)
  t.equal(await evicted(log, 'u:0'), forgotten, 'never less than was evicted')
  t.equal(await evicted(log, 'u:90000'), 90_001)
  await log.close()
  const again = await embeddedLog({ path, retention: { user: 10 } })
  t.equal(await evicted(again, 'u:nobody'), forgotten)
  t.equal(await evicted(again, 'u:90000'), 90_001)
  await again.append([draft('u:0', 'a'), draft('u:90000', 'b'), draft('u:new', 'c')])
  t.same(
    [await evicted(again, 'u:0'), await evicted(again, 'u:90000'), await evicted(again, 'u:new')],
    [forgotten, 90_001, forgotten]
  )
  await again.close()
})

t.test('of very many idempotency keys the oldest are forgotten before their time', async (t) => {
  const log = await embeddedLog({ path: folder(t), durability: 'process', idempotencyWindow: 3_600_000 })
  const key = (at: number) => draft('u:alice', 'x', { transient: true, idempotency: idempotent(`k${at}`) })
  for (let batch = 0; batch < 101; batch++)
    await log.append(Array.from({ length: 1_000 }, (_, at) => key(batch * 1_000 + at)))
  for (let more = 0; more < 8; more++) await log.append([key(101_000 + more)])
  const isRepeat = async (at: number) => (await log.append([key(at)]))[0]?.isRepeat
  t.same(
    [await isRepeat(0), await isRepeat(500), await isRepeat(100_999), await isRepeat(50_000)],
    [false, false, true, true]
  )
  await log.close()
})

t.test('the clock of the log never goes back, even if the wall clock does', async (t) => {
  const path = folder(t)
  const clock = new FakeClock()
  const open = () => embeddedLog({ path, clock, retention: { age: 10_000 } })
  const first = await open()
  await first.append([draft('u:alice', 'a')])
  clock.wall -= 86_400_000
  await first.append([draft('u:alice', 'b')])
  t.same((await read(first, 'u:alice')).events.length, 2)
  await first.close()
  const second = await open()
  await second.append([draft('u:alice', 'c', { ttl: 1_000 })])
  t.same((await read(second, 'u:alice')).events.length, 3)
  clock.advance(9_000)
  t.same((await read(second, 'u:alice')).events.length, 2)
  clock.advance(1_000)
  t.same((await read(second, 'u:alice')).events.length, 0)
  await second.close()
})

t.test('readers of the same event get the same object, so that it is encoded once', async (t) => {
  const path = folder(t)
  const log = await embeddedLog({ path })
  const dispatched: LogEvent[] = []
  await log.tail({ onEvents: (events) => dispatched.push(...events), onDiscontinuity: () => {} })
  await log.append([draft('u:alice', 'a')])
  t.equal((await read(log, 'u:alice')).events[0], dispatched[0])
  await log.close()
  const again = await embeddedLog({ path })
  const [event] = (await read(again, 'u:alice')).events
  t.equal((await read(again, 'u:alice')).events[0], event)
  for (let at = 0; at < 20; at++) await again.append([draft('u:bob', 'x'.repeat(1_000_000))])
  t.not((await read(again, 'u:alice')).events[0], event, 'but not for ever')
  t.same((await read(again, 'u:alice')).events[0], event)
  await again.close()
})
