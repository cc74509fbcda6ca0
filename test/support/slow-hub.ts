import type { Test } from 'tap'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import { FakeClock } from './fake-clock.ts'
import { settle } from './fake-sink.ts'
import { SlowLog } from './slow-log.ts'
import { startHub } from './test-hub.ts'

export function memoryLog(clock: FakeClock, retention: Partial<typeof DEFAULT_RETENTION> = {}): MemoryLog {
  return new MemoryLog({ clock, idempotencyWindow: 60_000, retention: { ...DEFAULT_RETENTION, ...retention } })
}

/** A hub over a log that answers when the test calls `log.answer()`. */
export async function startSlowHub(
  t: Test,
  { retention = {}, isSlow = true, isLagging = false, evaluatesLate = true }: SlowHubOptions = {}
) {
  const clock = new FakeClock()
  const log = new SlowLog(memoryLog(clock, retention), { isSlow, isLagging, chance: () => (evaluatesLate ? 0.99 : 0) })
  return { ...(await startHub(t, { log, clock })), log }
}

export interface SlowHubOptions {
  readonly retention?: Partial<typeof DEFAULT_RETENTION>
  readonly isSlow?: boolean
  readonly isLagging?: boolean
  /** Whether a read returns the events at the time of the answer, not of the call. */
  readonly evaluatesLate?: boolean
}

/** Answers the calls of the log until no call waits. */
export async function answerAll(log: SlowLog): Promise<void> {
  for (let round = 0; round < 50; round++) {
    await settle(2)
    if (log.waiting === 0) return
    log.answer()
  }
}
