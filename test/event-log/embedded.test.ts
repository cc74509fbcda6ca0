import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type ContractParts, eventLogContract } from '../../event-log-contract/contract.ts'
import { type EmbeddedLogOptions, embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import { FakeClock } from '../support/fake-clock.ts'

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 32))
t.comment(`TEST_SEED=${seed}`)

const home = mkdtempSync(join(tmpdir(), 'embedded-log-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
let folders = 0

/** The options with which a log under test was opened, to open its store again. */
const opened = new WeakMap<EventLog, EmbeddedLogOptions & { readonly clock: FakeClock }>()

async function open(options: EmbeddedLogOptions & { readonly clock: FakeClock }): Promise<EventLog> {
  const log = await embeddedLog(options)
  opened.set(log, options)
  return log
}

/** The store as a process that is killed now leaves it: nothing is closed, and nothing more is written. */
function crash(log: EventLog): EmbeddedLogOptions & { readonly clock: FakeClock } {
  const options = opened.get(log) as EmbeddedLogOptions & { readonly clock: FakeClock }
  const path = join(home, `${++folders}`)
  mkdirSync(path)
  for (const file of ['data.mdb', 'event-log.json']) copyFileSync(join(options.path, file), join(path, file))
  return { ...options, path }
}

function parts(durability: 'sync' | 'process'): Omit<ContractParts<EventLog>, 'test'> {
  return {
    createLog: (bounds) => open({ ...bounds, durability, path: join(home, `${++folders}`), clock: new FakeClock() }),
    dispose: (log) => rmSync(opened.get(log)?.path as string, { recursive: true, force: true }),
    advance: (log, milliseconds) => opened.get(log)?.clock.advance(milliseconds),
    reopen: (log) => open(crash(log)),
    rewind(log) {
      const options = crash(log)
      return () => open(options)
    },
    seed
  }
}

for (const durability of ['sync', 'process'] as const) {
  t.test(`keeps the contract with durability "${durability}"`, async (t) => {
    const test = (name: string, body: () => Promise<void>) =>
      t.test(name, async (t) => {
        await body()
        t.pass(name)
      })
    eventLogContract({ ...parts(durability), test })
  })
}
