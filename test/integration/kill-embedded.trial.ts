import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { type EmbeddedLogOptions, embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog, ReadResult } from '../../services/event-log/event-log.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { LogEvent } from '../../services/events/log-event.ts'
import { compiledHub } from '../support/compiled-hub.ts'
import { effort } from '../support/effort.ts'
import { Random } from '../support/random.ts'

/** How often a process is killed. */
const KILLS = Number(process.env.KILLS ?? effort(8, 30))
const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
/** Maximum number of acknowledged events before a process is killed. */
const MAX_EVENTS = 600
const CHANNELS = ['u:alice', 't:news', 'everyone'] as const

const ROOT = join(import.meta.dirname, '..', '..')
const CHILD = join(ROOT, 'test', 'support', 'appending-child.mjs')
const PLENTY = 10_000_000
const RETENTION = { user: PLENTY, topic: PLENTY, everyone: PLENTY, bytes: 2 ** 40, channelBytes: 2 ** 40 }

t.comment(`TEST_SEED=${SEED} KILLS=${KILLS}`)

const home = mkdtempSync(join(tmpdir(), 'kill-embedded-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
// Compiled, so that each process starts at once.
const embedded = pathToFileURL(join(await compiledHub(), 'embedded.js')).href
// From here on: compiling may take its time.
t.setTimeout(120_000 + KILLS * 3_000)

/** The journal of a process until it was killed. */
class Journal {
  /** The ids of acknowledged events. */
  readonly acknowledged = new Map<string, string>()
  /** The batches that were sent. */
  readonly tried: string[][] = []
}

/** Starts a process that appends, and kills it after a number of acknowledged events. */
async function appendUntilKilled(
  t: Test,
  { path, durability }: EmbeddedLogOptions,
  round: number,
  max: number
): Promise<Journal> {
  const child = spawn(process.execPath, [CHILD, embedded, path, `${durability}`, `${round}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH }
  })
  t.teardown(() => child.kill('SIGKILL'))
  const journal = new Journal()
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => {
    const [word, text = '', id = ''] = line.split(' ')
    if (word === 'try') journal.tried.push(text.split(','))
    if (word === 'ack') journal.acknowledged.set(text, id)
    if (journal.acknowledged.size >= max) child.kill('SIGKILL')
  })
  const [[, signal]] = await Promise.all([once(child, 'close'), once(lines, 'close')])
  t.equal(signal, 'SIGKILL', 'it was killed, and did not end by itself')
  return journal
}

t.test('a second process is refused while the first lives, and accepted after it was killed', async (t) => {
  const path = join(home, 'owned')
  const start = () => {
    const child = spawn(process.execPath, [CHILD, embedded, path, 'process', '0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH }
    })
    t.teardown(() => child.kill('SIGKILL'))
    let stderr = ''
    child.stderr.on('data', (text) => {
      stderr += text
    })
    const ended = once(child, 'close').then(() => stderr)
    const opened = once(createInterface(child.stdout), 'line').then(([line]) => line as string)
    return { child, ended, opened }
  }
  let owner = start()
  t.equal(await owner.opened, 'open')
  for (let kill = 0; kill < 3; kill++) {
    // Two simultaneous ones, too; the owner appends and reads all the while.
    for (const refused of [start(), start()]) t.match(await refused.ended, /SSE_HUB_ERR_LOG_IN_USE/)
    await t.rejects(embeddedLog({ path }), { code: 'SSE_HUB_ERR_LOG_IN_USE' })
    owner.child.kill('SIGKILL')
    await owner.ended
    owner = start()
    t.equal(await owner.opened, 'open')
  }
  owner.child.kill('SIGKILL')
  await owner.ended
})

const textOf = ({ data }: LogEvent) => data.replace(/\.+$/, '')

async function readAfter(log: EventLog, from: Cursor | 'oldest'): Promise<LogEvent[]> {
  const events: LogEvent[] = []
  for (let at = from, left = 1; left > 0; ) {
    const page: ReadResult = await log.read({ channels: CHANNELS, from: at, limit: PLENTY })
    if (page.gap !== undefined) throw new Error(`a gap: ${page.gap}`)
    events.push(...page.events)
    at = page.next
    left = page.remaining
  }
  return events
}

for (const durability of ['sync', 'process'] as const) {
  t.test(`acknowledged events outlive a process that is killed (${durability})`, async (t) => {
    const random = new Random(SEED)
    const options = { path: join(home, durability), durability, retention: RETENTION }
    let from: Cursor | 'oldest' = 'oldest'
    const counts = { acknowledged: 0, unacknowledged: 0, lost: 0, doubled: 0, torn: 0, misnumbered: 0 }
    const all = new Map<string, string>()
    for (let round = 0; round < KILLS; round++) {
      const { acknowledged, tried } = await appendUntilKilled(t, options, round, random.from(1, MAX_EVENTS))
      const log = await embeddedLog(options)
      const found = await readAfter(log, from)
      const texts = found.map(textOf)
      const ids = new Map(found.map((event) => [textOf(event), event.id]))
      counts.acknowledged += acknowledged.size
      counts.doubled += texts.length - ids.size
      for (const [text, id] of acknowledged) if (ids.get(text) !== id) counts.lost++
      for (const batch of tried) {
        const retained = batch.filter((text) => ids.has(text)).length
        if (retained !== 0 && retained !== batch.length) counts.torn++
      }
      // A repeat of each unanswered batch stores it once.
      const unanswered = tried.filter((batch) => !batch.every((text) => acknowledged.has(text)))
      counts.unacknowledged += unanswered.length
      for (const batch of unanswered) {
        await log.append(
          batch.map((text) => ({
            ...{ channels: ['everyone'] as const, event: 'message', data: text, idempotency: idempotent(text) },
            ...{ transient: false, final: false, streams: 0 }
          }))
        )
      }
      const now = await readAfter(log, from)
      counts.misnumbered += now.filter(
        ({ cursor }, at) => (cursor?.seq ?? 0) !== (from === 'oldest' ? 0 : from.seq) + at + 1
      ).length
      for (const event of now) {
        if (all.has(textOf(event))) counts.doubled++
        all.set(textOf(event), `${event.id}`)
      }
      from = now.at(-1)?.cursor ?? from
      await log.close()
    }
    const log = await embeddedLog(options)
    const found = await readAfter(log, 'oldest')
    t.same(
      found.map((event) => [textOf(event), event.id]),
      [...all],
      'all of it is there, in order, at the end'
    )
    await log.close()
    t.comment(JSON.stringify(counts))
    t.ok(counts.acknowledged >= KILLS)
    t.match(counts, { lost: 0, doubled: 0, torn: 0, misnumbered: 0 })
  })
}
