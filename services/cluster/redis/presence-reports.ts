import type { Clock } from '../../clock.ts'
import { randomText } from '../../random.ts'
import type { RedisArgument } from '../../redis/link.ts'
import type { LocalNode, PresenceChange } from '../cluster.ts'

export interface PresenceReportsParts {
  readonly local: LocalNode
  readonly clock: Clock
  /** Runs `claim.lua`, or resolves with undefined while it cannot be run. */
  readonly claim: (args: readonly RedisArgument[]) => Promise<unknown>
}

/** Max. number of reports that are taken at a time. */
const MAX_REPORTS = 1_000
/** How long reports are collected after a user came online, in milliseconds. */
const DELAY = 50

/**
 * Takes changes of presence from Redis for a host that wants them. Redis gives each to one node. A request without an answer is
 * repeated under its number, and returns the same reports.
 */
export class PresenceReports {
  readonly #parts: PresenceReportsParts
  readonly #self = randomText(10)
  #number = 0
  #taking: Promise<void> | undefined
  #stop: (() => void) | undefined
  #isClosed = false

  constructor(parts: PresenceReportsParts) {
    this.#parts = parts
  }

  /** Takes reports soon: a user came online. */
  takeSoon(): void {
    if (this.#isClosed || !this.#parts.local.isWatching) return
    this.#stop ??= this.#parts.clock.every(DELAY, () => {
      this.#stop?.()
      this.#stop = undefined
      void this.take()
    })
  }

  /** Takes all reports that are due. Never rejects. */
  take(): Promise<void> {
    this.#taking ??= this.#takeAll().finally(() => {
      this.#taking = undefined
    })
    return this.#taking
  }

  /** Resolves when the reports that are being taken have been passed to the host. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#stop?.()
    await this.#taking
  }

  async #takeAll(): Promise<void> {
    const { local, claim } = this.#parts
    try {
      while (!this.#isClosed && local.isWatching) {
        const answer = await claim([this.#self, String(this.#number), String(MAX_REPORTS)])
        if (!Array.isArray(answer)) return
        this.#number++
        local.report(parseReports(answer.map(String)))
        if (answer.length === 0) return
      }
    } catch {
      // The next attempt repeats the request; the membership logs that Redis is down.
    }
  }
}

function parseReports(reports: readonly string[]): PresenceChange[] {
  const changes: PresenceChange[] = []
  for (let at = 0; at < reports.length; at += 2) {
    const text = reports[at] as string
    changes.push({ user: text.slice(1), isOnline: text[0] === '+', at: Number(reports[at + 1]) })
  }
  return changes
}
