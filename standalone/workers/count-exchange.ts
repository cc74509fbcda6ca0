import type { Changes } from './protocol.ts'

type Send = (changes: Changes) => void

interface Member {
  readonly counts: Map<string, number>
  readonly send: Send
}

/** Passes the counts of each worker to the others, and takes back those of a worker that has ended. */
export class CountExchange {
  readonly #members = new Map<number, Member>()

  /** @param send sends changes of the other workers to this one. */
  join(worker: number, send: Send): void {
    for (const { counts } of this.#members.values()) if (counts.size > 0) send([...counts])
    this.#members.set(worker, { counts: new Map(), send })
  }

  counted(worker: number, changes: Changes): void {
    const counts = this.#members.get(worker)?.counts
    if (counts === undefined) return
    for (const [name, change] of changes) {
      const count = (counts.get(name) ?? 0) + change
      if (count === 0) counts.delete(name)
      else counts.set(name, count)
    }
    this.#sendToOthers(worker, changes)
  }

  leave(worker: number): void {
    const counts = this.#members.get(worker)?.counts
    this.#members.delete(worker)
    if (counts !== undefined && counts.size > 0)
      this.#sendToOthers(
        worker,
        [...counts].map(([name, count]) => [name, -count])
      )
  }

  #sendToOthers(worker: number, changes: Changes): void {
    for (const [other, { send }] of this.#members) if (other !== worker) send(changes)
  }
}
