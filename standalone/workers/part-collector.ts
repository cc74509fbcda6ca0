import type { WorkerPart } from '../../services/worker-group.ts'

/** A worker that has not answered by then is left out, in milliseconds. */
const WITHIN = 1_000

interface Collection {
  readonly missing: Set<number>
  readonly parts: WorkerPart[]
  readonly done: (parts: readonly WorkerPart[]) => void
  readonly timer: NodeJS.Timeout
}

/** Collects a part of the state of all workers for one of them. */
export class PartCollector {
  readonly #collections = new Map<number, Collection>()
  #ids = 0

  /** Asks the workers, and calls `done` once with the parts of those that answer in time. */
  collect(workers: readonly number[], ask: (worker: number, id: number) => void, done: Collection['done']): void {
    const id = ++this.#ids
    const timer = setTimeout(() => this.#end(id), WITHIN)
    this.#collections.set(id, { missing: new Set(workers), parts: [], done, timer })
    for (const worker of workers) ask(worker, id)
  }

  answered(worker: number, id: number, value: unknown): void {
    const collection = this.#collections.get(id)
    if (!collection?.missing.delete(worker)) return
    // A worker that has not registered the part yet has none.
    if (value !== undefined) collection.parts.push({ worker, value })
    if (collection.missing.size === 0) this.#end(id)
  }

  left(worker: number): void {
    for (const [id, { missing }] of this.#collections) if (missing.delete(worker) && missing.size === 0) this.#end(id)
  }

  #end(id: number): void {
    const collection = this.#collections.get(id)
    if (collection === undefined) return
    this.#collections.delete(id)
    clearTimeout(collection.timer)
    collection.done(collection.parts.sort((a, b) => a.worker - b.worker))
  }
}
