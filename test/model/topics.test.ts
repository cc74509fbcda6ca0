import t, { type Test } from 'tap'
import { effort } from '../support/effort.ts'
import { TopicsModel } from '../support/topics-model.ts'

const first = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
const count = process.env.TEST_SEED === undefined ? effort(200, 2_500) : 1
const STEPS = 80
t.comment(`TEST_SEED=${first}`)

async function tryAll(t: Test, retention = {}): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    const model = new TopicsModel(seed, retention)
    try {
      await model.run(STEPS)
    } catch (error) {
      t.fail(`TEST_SEED=${seed}: ${(error as Error).message}`, { trace: model.trace.join('\n') })
      return
    }
  }
  t.pass(`${count} sequences`)
}

t.test('topics that change lose no event, repeat none, and show none of before or after', (t) => tryAll(t))

t.test('topics that change have exact gaps where the history is short', (t) => tryAll(t, { topic: 5, user: 30 }))
