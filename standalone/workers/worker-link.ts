import type { SharedCounts } from '../../services/shared-counts.ts'
import type { WorkerGroup, WorkerPart } from '../../services/worker-group.ts'
import { isHubMessage, type PrimaryMessage, type WorkerMessage } from './protocol.ts'

/** How long changes of counts are gathered before they are sent, in milliseconds. */
const GATHERING = 20

/** How long a worker waits for the parts of the others, in milliseconds: longer than the primary process does. */
const COLLECTED_WITHIN = 3_000

/** The channel to the primary process; `process` has these methods. */
export interface Channel {
  on(event: 'message', listener: (message: unknown) => void): unknown
  send?(message: unknown, handle: undefined, options: object, callback: (error: Error | null) => void): boolean
}

/** The connection of a worker process to the primary process, which passes counts and state between workers. */
export class WorkerLink implements WorkerGroup {
  readonly number: number
  readonly counts: SharedCounts
  maxConnections: number | null = null
  readonly #channel: Channel
  readonly #elsewhere = new Map<string, number>()
  readonly #changes = new Map<string, number>()
  readonly #readers = new Map<string, () => unknown>()
  readonly #collecting = new Map<string, Promise<readonly WorkerPart[]>>()
  readonly #asked = new Map<number, (parts: readonly WorkerPart[]) => void>()
  #asks = 0
  #onListen: () => void = () => {}

  constructor(number: number, channel: Channel) {
    this.number = number
    this.#channel = channel
    this.counts = {
      add: (name, change) => this.#count(name, change),
      elsewhere: (name) => this.#elsewhere.get(name) ?? 0
    }
    channel.on('message', (message) => {
      if (isHubMessage(message)) this.#receive(message)
    })
    void this.#send({ hub: 'joined' })
  }

  /** Resolves when this worker may listen: at the start all begin together, so that connections are spread over all. */
  async mayListen(): Promise<void> {
    const listen = new Promise<void>((resolve) => {
      this.#onListen = resolve
    })
    void this.#send({ hub: 'started' })
    await listen
  }

  /** Reports why this worker could not start. Resolves when the report has been sent. */
  failed(reason: string): Promise<void> {
    return this.#send({ hub: 'failed', reason })
  }

  provide(part: string, read: () => unknown): void {
    this.#readers.set(part, read)
  }

  collect(part: string): Promise<readonly WorkerPart[]> {
    let collecting = this.#collecting.get(part)
    if (collecting === undefined) {
      collecting = this.#collect(part).finally(() => this.#collecting.delete(part))
      this.#collecting.set(part, collecting)
    }
    return collecting
  }

  async #collect(part: string): Promise<readonly WorkerPart[]> {
    const parts = await this.#ask(part)
    // No worker has answered in time, not even this one by way of the primary process.
    return parts.length > 0 ? parts : [{ worker: this.number, value: await this.#readers.get(part)?.() }]
  }

  #ask(part: string): Promise<readonly WorkerPart[]> {
    const id = ++this.#asks
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#collected(id, []), COLLECTED_WITHIN)
      this.#asked.set(id, (parts) => {
        clearTimeout(timer)
        resolve(parts)
      })
      void this.#send({ hub: 'collect', id, part })
    })
  }

  #count(name: string, change: number): void {
    if (this.#changes.size === 0) setTimeout(() => this.#sendChanges(), GATHERING).unref()
    this.#changes.set(name, (this.#changes.get(name) ?? 0) + change)
  }

  #sendChanges(): void {
    const changes = [...this.#changes].filter(([, change]) => change !== 0)
    this.#changes.clear()
    if (changes.length > 0) void this.#send({ hub: 'counted', changes })
  }

  #receive(message: PrimaryMessage): void {
    if (message.hub === 'listen') this.#onListen()
    else if (message.hub === 'check') void this.#send({ hub: 'alive' })
    else if (message.hub === 'counted') for (const [name, change] of message.changes) this.#countElsewhere(name, change)
    else if (message.hub === 'read') void this.#answer(message.id, message.part)
    else if (message.hub === 'collected') this.#collected(message.id, message.parts)
  }

  #collected(id: number, parts: readonly WorkerPart[]): void {
    this.#asked.get(id)?.(parts)
    this.#asked.delete(id)
  }

  #countElsewhere(name: string, change: number): void {
    const count = (this.#elsewhere.get(name) ?? 0) + change
    if (count === 0) this.#elsewhere.delete(name)
    else this.#elsewhere.set(name, count)
  }

  /** Never rejects. */
  async #answer(id: number, part: string): Promise<void> {
    try {
      await this.#send({ hub: 'part', id, value: await this.#readers.get(part)?.() })
    } catch (error) {
      await this.#send({ hub: 'part', id, error: String(error) })
    }
  }

  /** Never rejects: a worker that has lost its primary process ends. */
  #send(message: WorkerMessage): Promise<void> {
    return new Promise((resolve) => this.#channel.send?.(message, undefined, {}, () => resolve()))
  }
}
