import { appending } from './contract/appending.ts'
import { closing } from './contract/closing.ts'
import { cutting } from './contract/cutting.ts'
import { type ContractParts, definer } from './contract/given.ts'
import { lapsing, lasting } from './contract/lasting.ts'
import { model } from './contract/model.ts'
import { reading } from './contract/reading.ts'
import { recognising } from './contract/recognising.ts'
import { repeating } from './contract/repeating.ts'
import { retaining } from './contract/retaining.ts'
import { rewinding } from './contract/rewinding.ts'
import { sharing } from './contract/sharing.ts'
import { tailing } from './contract/tailing.ts'
import { timing } from './contract/timing.ts'
import type { EventLog } from './event-log.ts'

export type { Bounds, ContractParts } from './contract/given.ts'

/**
 * The contract of the event log port as tests, for whoever writes an adapter. It needs no test framework, only a way to run a
 * test, and checks with `node:assert`.
 *
 * ```ts
 * import { test } from 'node:test'
 * import { eventLogContract } from 'fastify-sse-hub/event-log/contract'
 *
 * eventLogContract({ test, createLog: (bounds) => new MyLog(bounds) })
 * ```
 *
 * What not every log can do, it declares by giving the means to test it: see {@link ContractParts}. What is not given is not
 * tested, and must not be promised.
 */
export function eventLogContract<Log extends EventLog>(parts: ContractParts<Log>): void {
  const define = definer(parts)
  appending(define)
  repeating(define)
  reading(define)
  recognising(define)
  retaining(define, parts)
  tailing(define)
  closing(define)
  model(define, parts)
  const { advance, unit = 1_000, reopen, secondNode, cut, rewind } = parts
  if (advance !== undefined) timing(define, unit)
  if (reopen !== undefined) lasting(define)
  if (reopen !== undefined && advance !== undefined) lapsing(define, unit)
  if (secondNode !== undefined) sharing(define)
  if (secondNode !== undefined && cut !== undefined) cutting(define)
  if (rewind !== undefined) rewinding(define)
}
