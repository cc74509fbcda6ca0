import type { EventLog } from '../services/event-log/event-log.ts'
import { appending } from './appending.ts'
import { closing } from './closing.ts'
import { cutting } from './cutting.ts'
import { ageingInboxes, inboxes, lastingInboxes, sharedInboxes } from './filing-inboxes.ts'
import { type ContractParts, definer } from './given.ts'
import { expiring, lasting } from './lasting.ts'
import { model } from './model.ts'
import { reading } from './reading.ts'
import { recognising } from './recognising.ts'
import { repeating } from './repeating.ts'
import { retaining } from './retaining.ts'
import { rewinding } from './rewinding.ts'
import { sharing } from './sharing.ts'
import { tailing } from './tailing.ts'
import { timing } from './timing.ts'

export type { Bounds, ContractParts } from './given.ts'

/**
 * The contract of the event log port as tests, for authors of adapters. It needs no test framework, only a function that runs a
 * test, and checks with `node:assert`.
 *
 * ```ts
 * import { test } from 'node:test'
 * import { eventLogContract } from 'fastify-sse-hub/event-log/contract'
 *
 * eventLogContract({ test, createLog: (bounds) => new MyLog(bounds) })
 * ```
 *
 * A log declares optional abilities by passing the means to test them: see {@link ContractParts}. Other abilities are not
 * tested, and the log must not promise them.
 */
export function eventLogContract<Log extends EventLog>(parts: ContractParts<Log>): void {
  const define = definer(parts)
  appending(define)
  repeating(define)
  reading(define)
  recognising(define)
  retaining(define, parts)
  inboxes(define)
  tailing(define)
  closing(define)
  model(define, parts)
  const { advance, unit = 1_000, reopen, secondNode, cut, rewind } = parts
  if (advance !== undefined) {
    timing(define, unit)
    ageingInboxes(define, unit)
  }
  if (reopen !== undefined) {
    lasting(define)
    lastingInboxes(define)
  }
  if (reopen !== undefined && advance !== undefined) expiring(define, unit)
  if (secondNode !== undefined) {
    sharing(define)
    sharedInboxes(define)
  }
  if (secondNode !== undefined && cut !== undefined) cutting(define)
  if (rewind !== undefined) rewinding(define)
}
