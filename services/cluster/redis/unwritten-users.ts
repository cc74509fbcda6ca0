/** Max. number of users who left that are remembered while they cannot be written; more are not reported if Redis loses its data. */
const MAX_GONE = 10_000

/**
 * Users who came to this node, or left it, since Redis last knew it. If Redis loses its data, only they are reported: the others
 * are online as before.
 */
export class UnwrittenUsers {
  readonly #arrived = new Set<string>()
  /** Each with the leave grace, in milliseconds. */
  readonly #gone = new Map<string, number>()

  /** The user has a first stream here. */
  opened(user: string): void {
    if (!this.#gone.delete(user)) this.#arrived.add(user)
  }

  /** The user has no stream here any more. */
  closed(user: string, absence: number): void {
    if (!this.#arrived.delete(user) && this.#gone.size < MAX_GONE) this.#gone.set(user, absence)
  }

  mayBeNew(user: string): boolean {
    return this.#arrived.has(user)
  }

  /** The users who left, as `join.lua` takes them. */
  get gone(): readonly (readonly [user: string, absence: number])[] {
    return [...this.#gone]
  }

  written(user: string): void {
    this.#arrived.delete(user)
    this.#gone.delete(user)
  }

  clear(): void {
    this.#arrived.clear()
    this.#gone.clear()
  }
}
