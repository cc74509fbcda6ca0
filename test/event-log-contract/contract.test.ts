import t from 'tap'
import { type ContractParts, eventLogContract } from '../../event-log-contract/contract.ts'
import { NaiveLog, NaiveStore } from '../event-log/naive-log.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { clearLeftovers } from './broken-log.ts'
import { BROKEN_LOGS } from './broken-logs.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
t.comment(`SEED=${seed}`)

type Body = () => Promise<void>

/** How long the contract waits for what a fault keeps from coming, in milliseconds. */
const SHORT = 400
/** And for what only comes late, because the machine is busy. */
const LONG = 30_000

/** A plain log with all abilities, each of whose nodes is spoilt as it is opened. */
function plainLog(spoil: (log: NaiveLog) => void = () => {}): Omit<ContractParts<NaiveLog>, 'test'> {
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
      const goBack = log.store.remember()
      return () => {
        goBack()
        return log
      }
    },
    seed
  }
}

t.test('lets a plain log pass that does all it can be asked', async (t) => {
  const test = (name: string, body: Body) =>
    t.test(name, async (t) => {
      await body()
      t.pass(name)
    })
  eventLogContract({ ...plainLog(), test })
})

for (const { fault, caughtBy, spoil, showsBy } of BROKEN_LOGS) {
  t.test(`catches a log that ${fault}`, async (t) => {
    t.teardown(clearLeftovers)
    const tests = new Map<string, Body>()
    const patience = showsBy === 'waiting' ? SHORT : LONG
    eventLogContract({ ...plainLog(spoil), patience, test: (name, body) => tests.set(name, body) })
    const body = tests.get(caughtBy)
    if (body === undefined) return t.fail(`the contract has no test "${caughtBy}"`)
    const error = await body().then(
      () => t.fail(`passed: ${caughtBy}`),
      (error: Error) => error
    )
    // What is left running is told by its kind.
    const isLate = /waited in vain|'Timeout'/.test(String(error))
    t.equal(isLate, showsBy === 'waiting', `${caughtBy}: ${error}`)
  })
}

t.test('asks nothing of a log that it does not say it can do', async (t) => {
  const { createLog } = plainLog()
  const names: string[] = []
  eventLogContract({ createLog, withoutByteBounds: true, test: (name) => names.push(name) })
  const all: string[] = []
  eventLogContract({ ...plainLog(), test: (name) => all.push(name) })
  t.equal(new Set(all).size, all.length, 'no name is given twice')
  t.notOk(names.some((name) => /opened again|node|line|tail that was lost|bytes|text in/.test(name)))
  t.ok(names.every((name) => all.includes(name)))
})
