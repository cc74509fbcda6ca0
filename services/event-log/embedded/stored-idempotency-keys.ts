import { parseCursor } from '../../events/cursor.ts'
import type { Idempotency } from '../../events/log-event.ts'
import type { Receipt } from '../event-log.ts'
import { MAX_KEYS_OF_SCOPE } from '../memory/idempotency-keys.ts'
import { sizeClassOf } from '../size-classes.ts'
import { entryAt } from './entries.ts'
import { END, type KeyRow, type ScopeRow, type State, type Tables } from './tables.ts'

/** Size of a key and of a scope on disk: their rows in all tables, and half-filled pages. Measured. */
const KEY_BYTES = 300
const SCOPE_BYTES = 300
/** How many expired keys a transaction forgets, besides two for each that it adds. */
const FORGET_AT_ONCE = 128

/** One scope of the store while it is being written: its row, and how the tables have it. */
interface OpenScope {
  readonly scope: string
  readonly id: number
  first: number
  next: number
  storedAs: { sizeClass: number; until: number }
}

/** The changes of one transaction to the idempotency keys of the store. */
export class IdempotencyKeys {
  readonly #tables: Tables
  readonly #state: State
  readonly #now: number
  readonly #window: number
  readonly #scopes = new Map<string, OpenScope>()
  #added = 0

  constructor(tables: Tables, state: State, now: number, window: number) {
    this.#tables = tables
    this.#state = state
    this.#now = now
    this.#window = window
  }

  digestOf(idempotency: Idempotency): string | undefined {
    return this.#find(idempotency)?.[3]
  }

  /** The first receipt of a key, if it is known. */
  receiptOf(idempotency: Idempotency): Receipt | undefined {
    const known = this.#find(idempotency)
    return known && { id: known[0], streams: known[1], isRepeat: true }
  }

  add({ scope, key, digest }: Idempotency, { id, streams }: Receipt): void {
    const open = this.#open(scope)
    const ordinal = open.next++
    const until = this.#now + this.#window
    this.#tables.keys.putSync([open.id, key], [id, streams, until, digest, ordinal])
    this.#tables.keyOrder.putSync([open.id, ordinal], [key, until])
    this.#state.keyBytes += KEY_BYTES
    this.#added++
    if (open.next - open.first > MAX_KEYS_OF_SCOPE) this.#forgetOldest(open)
  }

  /** Forgets keys whose window is over, no more than a transaction has time for. */
  expire(): void {
    // A shortcut for hubs whose publishers use no idempotency keys.
    if (this.#state.keyBytes === 0) return
    let left = FORGET_AT_ONCE + 2 * this.#added
    while (left > 0) {
      this.settle()
      const [first] = [...this.#tables.scopeExpiries.getRange({ limit: 1 })]
      if (first === undefined || first.key[0] > this.#now) return
      const open = this.#open(first.value)
      while (left-- > 0 && (this.#oldest(open)?.[1] ?? END) <= this.#now) this.#forgetOldest(open)
    }
  }

  /** Forgets the oldest key of a scope that has about the most; false if there is no key. */
  forgetOne(): boolean {
    const { scopeSizes } = this.#tables
    for (;;) {
      this.settle()
      const [heaviest] = [...scopeSizes.getRange({ reverse: true, limit: 1 })]
      if (heaviest === undefined) return false
      const open = this.#open(heaviest.value)
      if (open.id === heaviest.key[1] && open.storedAs.sizeClass === heaviest.key[0]) {
        this.#forgetOldest(open)
        return true
      }
      // The index refers to a scope that is missing or has another number of keys.
      scopeSizes.removeSync(heaviest.key)
      if (open.id === heaviest.key[1]) open.storedAs.sizeClass = 0
    }
  }

  /** Updates the tables with the changes to the scopes. */
  settle(): void {
    const { scopes, scopeSizes, scopeExpiries } = this.#tables
    for (const open of this.#scopes.values()) {
      const { scope, id, first, next, storedAs } = open
      const sizeClass = sizeClassOf(next - first)
      const until = this.#oldest(open)?.[1] ?? 0
      if (sizeClass !== storedAs.sizeClass) {
        if (storedAs.sizeClass > 0) scopeSizes.removeSync([storedAs.sizeClass, id])
        if (sizeClass > 0) scopeSizes.putSync([sizeClass, id], scope)
      }
      if (until !== storedAs.until) {
        if (storedAs.until > 0) scopeExpiries.removeSync([storedAs.until, id])
        if (until > 0) scopeExpiries.putSync([until, id], scope)
      }
      open.storedAs = { sizeClass, until }
      if (next > first) scopes.putSync(scope, [id, first, next, sizeClass, until])
      else this.#close(scope)
    }
  }

  #find({ scope, key }: Idempotency): KeyRow | undefined {
    const id = this.#scopes.get(scope)?.id ?? this.#tables.scopes.get(scope)?.[0]
    const known = id === undefined ? undefined : this.#tables.keys.get([id, key])
    return known !== undefined && known[2] > this.#now && this.#isAppended(known[0]) ? known : undefined
  }

  /** Whether the log has, or had, the event of a receipt: a key that refers to another event is ignored. */
  #isAppended(id: string | null): boolean {
    if (id === null) return true
    const cursor = parseCursor(id)
    if (cursor === undefined || cursor.seq > this.#state.head) return false
    const entry = entryAt(this.#tables, cursor.seq)
    return entry === undefined || entry[0] === cursor.witness
  }

  #open(scope: string): OpenScope {
    const open = this.#scopes.get(scope)
    if (open !== undefined) return open
    const row = this.#tables.scopes.get(scope)
    if (row === undefined) this.#state.keyBytes += SCOPE_BYTES
    const [id, first, next, sizeClass, until]: ScopeRow = row ?? [this.#state.nextScope++, 0, 0, 0, 0]
    const opened = { scope, id, first, next, storedAs: { sizeClass, until } }
    this.#scopes.set(scope, opened)
    return opened
  }

  #close(scope: string): void {
    this.#tables.scopes.removeSync(scope)
    this.#scopes.delete(scope)
    this.#state.keyBytes -= SCOPE_BYTES
  }

  #oldest({ id, first, next }: OpenScope): readonly [key: string, until: number] | undefined {
    return first < next ? this.#tables.keyOrder.get([id, first]) : undefined
  }

  #forgetOldest(open: OpenScope): void {
    const { keys, keyOrder } = this.#tables
    const oldest = this.#oldest(open)
    const ordinal = open.first++
    if (oldest === undefined) return
    keyOrder.removeSync([open.id, ordinal])
    // A key that expired and was used again has a newer row.
    if (keys.get([open.id, oldest[0]])?.[4] === ordinal) keys.removeSync([open.id, oldest[0]])
    this.#state.keyBytes -= KEY_BYTES
  }
}
