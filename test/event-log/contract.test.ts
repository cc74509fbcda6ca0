import t from 'tap'
import { type ContractParts, eventLogContract } from '../../services/event-log/contract.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { NaiveLog, NaiveStore } from './naive-log.ts'

export function naiveParts(Store = NaiveStore, Log = NaiveLog): Omit<ContractParts<NaiveLog>, 'test'> {
  return {
    createLog: (bounds) => new Log(new Store(bounds, new FakeClock())),
    advance: (log, milliseconds) => (log.store.clock as FakeClock).advance(milliseconds),
    reopen(log) {
      log.close()
      return new Log(log.store)
    },
    secondNode: (log) => new Log(log.store),
    cut: (log) => log.cut(),
    rewind(log) {
      const back = log.store.remember()
      return () => {
        back()
        return log
      }
    },
    patience: 2_000
  }
}

t.test('a plain log keeps the contract', async (t) => {
  eventLogContract({
    ...naiveParts(),
    test: (name, body) =>
      t.test(name, async (t) => {
        await body()
        t.pass(name)
      })
  })
})
