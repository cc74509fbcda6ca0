import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type EmbeddedLogOptions, embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { FakeClock } from './fake-clock.ts'
import { Random } from './random.ts'

// Damages copies of a store as a loss of power does, opens them, and prints a line of JSON for each. A missing line
// shows that a store ended the process.

const [home = '', seedText = '0', roundsText = '1'] = process.argv.slice(2)
const random = new Random(Number(seedText))
const PAGE = 4_096
const USERS = ['alice', 'bob', 'eve', 'mallory'] as const
const clock = new FakeClock()
const retention = { user: 300 }
const silent = { warn: () => {}, error: () => {} }
const PUBLISHED = new Map<string, { owner: string; text: string }>()

function draft(user: string, text: string, rest: Partial<NewEvent> = {}): NewEvent {
  const channels: Channel[] = [`u:${user}`]
  return { channels, event: 'message', data: text, transient: false, final: false, streams: 0, ...rest }
}

/** The owner repeats within each 16 letters, so that part of a text shows its owner. */
const textOf = (user: string, at: number, length: number) => `<${user} ${at}>`.padEnd(16, '.').repeat(length)

async function fill(log: EventLog, from: number, to: number): Promise<void> {
  for (let at = from; at < to; ) {
    const events: NewEvent[] = []
    for (let count = random.from(1, 20); count > 0 && at < to; count--, at++) {
      const user = random.pick(USERS)
      const length = random.chance(0.15) ? random.from(300, 1_500) : random.from(1, 20)
      events.push(
        draft(user, textOf(user, at, length), random.chance(0.2) ? { collapseKey: `k${random.from(0, 5)}` } : {})
      )
    }
    const receipts = await log.append(events)
    receipts.forEach(({ id }, index) => {
      const event = events[index] as NewEvent
      PUBLISHED.set(`${id}`, { owner: event.channels[0]?.slice(2) ?? '', text: event.data })
    })
  }
}

const options = (path: string): EmbeddedLogOptions => ({
  path,
  durability: 'process',
  clock,
  retention,
  logger: silent
})

interface History {
  readonly ids: string[]
  readonly cursors: Cursor[]
}

async function historyOf(log: EventLog, user: string): Promise<History> {
  const { events } = await log.read({ channels: [`u:${user}`], from: 'oldest', limit: 100_000 })
  return { ids: events.map(({ id }) => `${id}`), cursors: events.map(({ cursor }) => cursor as Cursor) }
}

const whole = join(home, 'whole')
const first = await embeddedLog(options(whole))
await fill(first, 0, 1_500)
await first.close()
/** The pages of an earlier state. */
const former = readFileSync(join(whole, 'data.mdb'))
const second = await embeddedLog(options(whole))
await fill(second, 1_500, 2_200)
const known = new Map<string, History>()
for (const user of USERS) known.set(user, await historyOf(second, user))
await second.close()
const bytes = readFileSync(join(whole, 'data.mdb'))
const pages = Math.floor(bytes.length / PAGE)

const DAMAGES: Record<string, (damaged: Buffer, path: string) => void> = {
  truncated: (_, path) => truncateSync(path, random.from(0, bytes.length - 1)),
  'truncated at a page': (_, path) => truncateSync(path, random.from(0, pages - 1) * PAGE),
  'zeroed pages': (damaged) => eachPage((at) => damaged.fill(0, at, at + PAGE)),
  'zeroed sectors': (damaged) =>
    eachPage((at) => {
      const sector = at + 512 * random.from(0, 7)
      damaged.fill(0, sector, sector + 512)
    }),
  'former pages': (damaged) => eachPage((at) => at + PAGE <= former.length && former.copy(damaged, at, at, at + PAGE)),
  'former sectors': (damaged) =>
    eachPage((at) => {
      const sector = at + 512 * random.from(0, 7)
      if (sector + 512 <= former.length) former.copy(damaged, sector, sector, sector + 512)
    }),
  'swapped pages': (damaged) =>
    eachPage((at) => {
      const other = random.from(2, pages - 1) * PAGE
      bytes.copy(damaged, at, other, other + PAGE)
    })
}

function eachPage(change: (at: number) => void): void {
  for (let count = random.from(1, 4); count > 0; count--) change(random.from(0, pages - 1) * PAGE)
}

/** The faults of a damaged store; empty if it shows a consistent part of the published events. */
async function faultsOf(log: EventLog): Promise<string[]> {
  const faults: string[] = []
  for (const user of USERS) {
    const before = known.get(user) as History
    for (const from of ['oldest', before.cursors[0], before.cursors[Math.floor(before.cursors.length / 2)]] as const) {
      if (from === undefined) continue
      const page = await log.read({ channels: [`u:${user}`], from, limit: 100_000 })
      const ids = page.events.map(({ id }) => `${id}`)
      for (const event of page.events) {
        const published = PUBLISHED.get(`${event.id}`)
        if (published?.owner !== user) faults.push(`${user} got an event of ${published?.owner}`)
        else if (published.text !== event.data) faults.push(`${user} got other data`)
      }
      if (ids.some((id, at) => at > 0 && seqOf(id) <= seqOf(ids[at - 1] as string))) faults.push('out of order')
      if (from === 'oldest' || page.gap !== undefined) continue
      // The last transactions may be lost as a whole: the rest is as it was before them.
      const expected = before.ids.filter((id) => seqOf(id) > from.seq && seqOf(id) <= log.stats().head)
      const missing = expected.filter((id) => !ids.includes(id))
      if (missing.length > 0) faults.push(`silent loss: ${missing.length} of ${expected.length}`)
    }
  }
  return faults
}

const seqOf = (id: string) => Number.parseInt(id, 36)

for (let round = 0; round < Number(roundsText); round++) {
  const path = mkdtempSync(join(home, 'torn-'))
  cpSync(whole, path, { recursive: true })
  const kind = random.pick(Object.keys(DAMAGES))
  console.log(JSON.stringify({ round, kind }))
  const file = join(path, 'data.mdb')
  const damaged = Buffer.from(bytes)
  if (kind.startsWith('truncated')) DAMAGES[kind]?.(damaged, file)
  else {
    DAMAGES[kind]?.(damaged, file)
    writeFileSync(file, damaged)
  }
  let outcome = 'works'
  let faults: string[] = []
  try {
    const log = await embeddedLog(options(path))
    try {
      faults = await faultsOf(log)
      await log.append(USERS.map((user) => draft(user, 'after')))
      for (const user of USERS) {
        const { events } = await log.read({ channels: [`u:${user}`], from: { last: 1 }, limit: 1 })
        if (events[0]?.data !== 'after') faults.push('an event published afterwards is missing')
      }
    } finally {
      await log.close()
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    outcome = `refused ${code}`
    if (!/^SSE_HUB_ERR_LOG/.test(`${code}`)) faults.push(`${message}`)
  }
  console.log(JSON.stringify({ round, kind, outcome, faults }))
  rmSync(path, { recursive: true })
}
console.log('done')
