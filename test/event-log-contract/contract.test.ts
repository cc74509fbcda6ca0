import t from 'tap'
import { type ContractParts, eventLogContract } from '../../event-log-contract/contract.ts'
import { NaiveLog, NaiveStore } from '../event-log/naive-log.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { clearTimersLeft } from './broken-log.ts'
import { BROKEN_LOGS } from './broken-logs.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
t.comment(`SEED=${seed}`)

type Body = () => Promise<void>

/** Patience for an event that a fault withholds, in milliseconds. */
const SHORT_PATIENCE = 400
/** Patience for an event that is only late because the machine is busy, in milliseconds. */
const LONG_PATIENCE = 30_000

/** A correct log with all abilities. `spoil` puts a fault into each node when it is opened. */
function correctLog(spoil: (log: NaiveLog) => void = () => {}): Omit<ContractParts<NaiveLog>, 'test'> {
  const open = (store: NaiveStore) => {
    const log = new NaiveLog(store)
    spoil(log)
    return log
  }
  return {
    createLog: (bounds) => open(new NaiveStore(bounds, new FakeClock())),
    advance: ({ store }, milliseconds) => store.clock instanceof FakeClock && store.clock.advance(milliseconds),
    reopen(log) {
      log.isClosed = true
      log.store.nodes.delete(log)
      return open(log.store)
    },
    secondNode: ({ store }) => open(store),
    cut: (log) => log.cut(),
    rewind(log) {
      const goBack = log.store.snapshot()
      return () => {
        goBack()
        return log
      }
    },
    seed
  }
}

t.test('accepts a correct log with all abilities', async (t) => {
  const test = (name: string, body: Body) =>
    t.test(name, async (t) => {
      await body()
      t.pass(name)
    })
  eventLogContract({ ...correctLog(), test })
})

for (const { fault, caughtBy, spoil, showsBy } of BROKEN_LOGS) {
  t.test(`catches a log that ${fault}`, async (t) => {
    t.teardown(clearTimersLeft)
    const tests = new Map<string, Body>()
    const patience = showsBy === 'waiting' ? SHORT_PATIENCE : LONG_PATIENCE
    eventLogContract({ ...correctLog(spoil), patience, test: (name, body) => tests.set(name, body) })
    const body = tests.get(caughtBy)
    if (body === undefined) return t.fail(`the contract has no test "${caughtBy}"`)
    const error = await body().then(
      () => t.fail(`passed: ${caughtBy}`),
      (error: Error) => error
    )
    // The error names leftovers by their kind.
    const isLate = /waited in vain|'Timeout'/.test(String(error))
    t.equal(isLate, showsBy === 'waiting', `${caughtBy}: ${error}`)
  })
}

t.test('requires no ability that a log does not declare', async (t) => {
  const { createLog } = correctLog()
  const names: string[] = []
  eventLogContract({ createLog, withoutByteBounds: true, test: (name) => names.push(name) })
  const all: string[] = []
  eventLogContract({ ...correctLog(), test: (name) => all.push(name) })
  t.equal(new Set(all).size, all.length, 'names are unique')
  t.notOk(
    names.some((name) => /opened again|reopened|node|line|connection|tail that was lost|bytes|text in/.test(name))
  )
  t.ok(names.every((name) => all.includes(name)))
})
