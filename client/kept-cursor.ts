/** Where a cursor outlives its page: `sessionStorage`, or anything alike. */
export interface CursorStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

/** A position in the history of one user. */
export interface Position {
  readonly id: string | undefined
  /** Null for a stream without a user; undefined where the hub has not named one yet. */
  readonly user: string | null | undefined
}

/** Keeps the position of a stream over reloads of its page. A storage that fails is reported once and not used any more. */
export class KeptCursor {
  readonly #key: string
  readonly #onFailure: (error: unknown) => void
  #storage: CursorStorage | undefined
  #saved: string | undefined

  constructor(storage: CursorStorage | undefined, key: string, onFailure: (error: unknown) => void) {
    this.#storage = storage
    this.#key = key
    this.#onFailure = onFailure
  }

  load(): Position | undefined {
    const text = this.#try((storage) => storage.getItem(this.#key))
    if (text == null) return undefined
    try {
      const { id, user } = JSON.parse(text)
      return typeof id === 'string' ? { id, user } : undefined
    } catch {
      // Another program wrote it; the next save replaces it.
      return undefined
    }
  }

  save(position: Position | undefined): void {
    if (position?.id === this.#saved) return
    this.#saved = position?.id
    this.#try((storage) =>
      position === undefined ? storage.removeItem(this.#key) : storage.setItem(this.#key, JSON.stringify(position))
    )
  }

  #try<Result>(use: (storage: CursorStorage) => Result): Result | undefined {
    if (this.#storage === undefined) return undefined
    try {
      return use(this.#storage)
    } catch (error) {
      this.#storage = undefined
      this.#onFailure(error)
      return undefined
    }
  }
}
