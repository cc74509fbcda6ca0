import { DeadlineHeap } from '../../deadline-heap.ts'
import type { Idempotency } from '../../events/log-event.ts'
import { Fifo } from '../../fifo.ts'
import type { Receipt } from '../event-log.ts'
import { SizeClasses } from '../size-classes.ts'

/** Max. number of keys of one scope; beyond it the oldest are forgotten before their window ends. */
export const MAX_KEYS_OF_SCOPE = 100_000

// Measured on a 64-bit Node 20 over 100,000 keys of 22 characters: 368 bytes each; a scope of one key takes 900 more.

/** Weight of a key besides its text, and of a scope besides its keys. */
const KEY_OVERHEAD = 300
const SCOPE_OVERHEAD = 900

interface Known {
  readonly key: string
  readonly digest: string
  readonly receipt: Receipt
  readonly until: number
}

/** The keys of one scope in order of addition, which is the order of expiry: all have the same window. */
class ScopeKeys {
  readonly scope: string
  bytes = 0
  indexInClass = 0
  readonly known = new Map<string, Known>()
  readonly order = new Fifo<Known>()

  constructor(scope: string) {
    this.scope = scope
  }
}

/**
 * The receipts of events with an idempotency key, for as long as its window lasts. Scopes share no key and no bound: a flood
 * of keys in one scope does not evict the keys of another.
 */
export class IdempotencyKeys {
  /** Weight of all keys. */
  bytes = 0
  readonly #window: number
  readonly #scopes = new Map<string, ScopeKeys>()
  readonly #sizes = new SizeClasses<ScopeKeys>()
  /** When the oldest key of each scope expires. */
  readonly #expiries = new DeadlineHeap<ScopeKeys>()

  /** @param window how long a key is remembered, in milliseconds. */
  constructor(window: number) {
    this.#window = window
  }

  find({ scope, key }: Idempotency, now: number): Known | undefined {
    const known = this.#scopes.get(scope)?.known.get(key)
    return known !== undefined && known.until > now ? known : undefined
  }

  add({ scope, key, digest }: Idempotency, receipt: Receipt, now: number): void {
    const keys = this.#scopes.get(scope) ?? this.#open(scope)
    const known = { key, digest, receipt, until: now + this.#window }
    keys.known.set(key, known)
    keys.order.push(known)
    // If the oldest is forgotten early, the deadline is too early for the next key; `expire` then sets it anew.
    if (keys.order.size === 1) this.#expiries.set(keys, known.until)
    this.#weigh(keys, weightOf(known))
    if (keys.order.size > MAX_KEYS_OF_SCOPE) this.#forgetOldest(keys)
  }

  /** Forgets every key whose window is over. */
  expire(now: number): void {
    for (let keys = this.#expiries.takeDue(now); keys !== undefined; keys = this.#expiries.takeDue(now)) {
      while ((keys.order.first?.until ?? Number.POSITIVE_INFINITY) <= now) this.#forgetOldest(keys)
      if (keys.order.first !== undefined) this.#expiries.set(keys, keys.order.first.until)
    }
  }

  /** Forgets the oldest key of a scope that weighs about the most; false if there is no key. */
  forgetOne(): boolean {
    const heaviest = this.#sizes.heaviest()
    if (heaviest === undefined) return false
    this.#forgetOldest(heaviest)
    return true
  }

  #open(scope: string): ScopeKeys {
    const keys = new ScopeKeys(scope)
    this.#scopes.set(scope, keys)
    this.#weigh(keys, SCOPE_OVERHEAD)
    return keys
  }

  #forgetOldest(keys: ScopeKeys): void {
    const oldest = keys.order.shift() as Known
    // A key that expired and was used again has a newer receipt.
    if (keys.known.get(oldest.key) === oldest) keys.known.delete(oldest.key)
    this.#weigh(keys, -weightOf(oldest))
    if (keys.order.size > 0) return
    this.#expiries.delete(keys)
    this.#scopes.delete(keys.scope)
    this.#weigh(keys, -SCOPE_OVERHEAD)
  }

  #weigh(keys: ScopeKeys, bytes: number): void {
    const before = keys.bytes
    keys.bytes += bytes
    this.bytes += bytes
    this.#sizes.update(keys, before)
  }
}

function weightOf({ key, digest, receipt }: Known): number {
  return KEY_OVERHEAD + key.length + digest.length + (receipt.id?.length ?? 0)
}
