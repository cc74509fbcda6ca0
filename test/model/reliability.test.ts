import t from 'tap'
import { effort } from '../support/effort.ts'
import { runSequence, shrink, stepsOf } from '../support/model-run.ts'
import type { ConnectionLog } from '../support/oracle.ts'

/**
 * The seed of the first sequence; the others count up from it. A failure names its own, to be run alone with
 * MODEL_RUNS=1.
 */
const SEED = Number(process.env.MODEL_SEED ?? 1)
const RUNS = Number(process.env.MODEL_RUNS ?? effort(1_000, 10_000))
const STEPS = Number(process.env.MODEL_STEPS ?? 50)

/** Situations that a run of full length must contain, to prove that the model can see them. */
const SIGHTS = [
  ...['evicted', 'reset', 'diverged', 'unknown'].map((reason) => `hub.gap ${reason}`),
  ...['slow', 'expired', 'kicked', 'shutdown', 'error'].map((reason) => `hub.close ${reason}`),
  ...['hub.welcome resumed', 'hub.heartbeat', 'hub.heartbeat with id', 'message', 'message transient', 'note']
]

t.setTimeout(60_000 + RUNS * 50)

t.test(
  `every stream gets every event once and in order, or a gap, in ${RUNS} sequences of ${STEPS} steps`,
  async (t) => {
    t.comment(`MODEL_SEED=${SEED} MODEL_RUNS=${RUNS} MODEL_STEPS=${STEPS}`)
    const seen = new Map<string, number>()
    for (let seed = SEED; seed < SEED + RUNS; seed++) {
      const { failure, connections } = await runSequence(seed, stepsOf(seed, STEPS))
      for (const connection of connections) count(connection, seen)
      if (failure === undefined) continue
      const { message, trace, steps } = await shrink(failure)
      t.fail(`MODEL_SEED=${seed} MODEL_RUNS=1: ${message}`, { steps: steps.length, trace: trace.slice(-60) })
      return
    }
    t.comment(`read by clients: ${[...seen].map(([sight, times]) => `${times} × ${sight}`).join(', ')}`)
    const unseen = RUNS < 1_000 ? [] : SIGHTS.filter((sight) => (seen.get(sight) ?? 0) < RUNS / 100)
    t.same(unseen, [], 'rare situations')
  }
)

function count({ records }: ConnectionLog, seen: Map<string, number>): void {
  for (const { event, data, id } of records) {
    const sight = `${event}${detailOf(event, data, id)}`
    seen.set(sight, (seen.get(sight) ?? 0) + 1)
  }
}

function detailOf(event: string, data: string, id: string | undefined): string {
  if (event === 'hub.gap' || event === 'hub.close') return ` ${JSON.parse(data).reason}`
  if (event === 'hub.welcome') return JSON.parse(data).resumed ? ' resumed' : ''
  if (event === 'hub.heartbeat') return id === undefined ? '' : ' with id'
  return id === undefined ? ' transient' : ''
}
