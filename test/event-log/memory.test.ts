import t from 'tap'
import { eventLogContract } from '../../services/event-log/contract.ts'
import { MemoryLog } from '../../services/event-log/memory.ts'
import { FakeClock } from '../support/fake-clock.ts'

const seed = process.env.SEED === undefined ? undefined : Number(process.env.SEED)
const clocks = new WeakMap<MemoryLog, FakeClock>()

t.test('keeps the contract of event logs', async (t) => {
  eventLogContract({
    test: (name, body) =>
      t.test(name, async (t) => {
        await body()
        t.pass(name)
      }),
    createLog(bounds) {
      const clock = new FakeClock()
      const log = new MemoryLog({ ...bounds, clock })
      clocks.set(log, clock)
      return log
    },
    advance: (log, milliseconds) => clocks.get(log)?.advance(milliseconds),
    patience: 2_000,
    seed
  })
})
