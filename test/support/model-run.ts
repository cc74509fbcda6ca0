import { Violation } from './model-connection.ts'
import { ModelWorld, type Plant } from './model-world.ts'
import { type ConnectionLog, judge, type Verdict } from './oracle.ts'
import { Random } from './random.ts'

/** A sequence of the model that broke a rule. */
export interface Failure {
  readonly seed: number
  readonly rule: string
  readonly message: string
  /** The seeds of its steps. */
  readonly steps: readonly number[]
  readonly trace: readonly string[]
}

export interface Outcome {
  readonly failure: Failure | undefined
  readonly verdict: Verdict | undefined
  /** The records of each connection. */
  readonly connections: readonly ConnectionLog[]
}

/** The seeds of a sequence's steps. */
export function stepsOf(seed: number, count: number): number[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => Math.floor(random.next() * 0x7fffffff))
}

/** Runs one sequence, and then compares with the oracle. */
export async function runSequence(seed: number, steps: readonly number[], plant?: Plant): Promise<Outcome> {
  const world = new ModelWorld(seed, plant)
  const { connections } = world
  try {
    await world.start()
    for (const step of steps) await world.step(step)
    await world.end()
  } catch (error) {
    const rule = error instanceof Violation ? error.rule : 'crash'
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { failure: { seed, rule, message, steps, trace: world.trace }, verdict: undefined, connections }
  }
  const verdict = judge(world.published, world.connections)
  const { lost, doubled, outOfOrder, falseGaps, foreign, altered, complaints } = verdict
  if (lost + doubled + outOfOrder + falseGaps + foreign + altered === 0)
    return { failure: undefined, verdict, connections }
  const message = complaints.join('\n')
  return { failure: { seed, rule: 'oracle', message, steps, trace: world.trace }, verdict, connections }
}

/** Leaves out steps while the sequence breaks the same rule, so that the rest is worth reading. */
export async function shrink(failure: Failure, plant?: Plant): Promise<Failure> {
  let smallest = failure
  for (let size = Math.ceil(failure.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = smallest.steps.length - size; at >= 0; at -= size) {
      const steps = smallest.steps.filter((_, index) => index < at || index >= at + size)
      const outcome = await runSequence(failure.seed, steps, plant)
      if (outcome.failure?.rule === failure.rule) smallest = outcome.failure
    }
  }
  return smallest
}
