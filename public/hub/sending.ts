import { signal } from '@preact/signals'
import { type ApiError, publish, type Target } from './api.ts'
import { redrawSoon } from './frame-clock.ts'
import type { Draft, Receipt } from './types.ts'

/** After so many milliseconds without an answer the page says that the outcome is open. */
const PATIENCE = 10_000
/** Events sent by this page that it remembers, for their latency and their code. */
const MAX_SENT = 1_000

/** One send, with its outcome. `open`: the hub may or may not have published the event. */
export interface Sending {
  readonly target: Target
  readonly draft: Draft
  readonly outcome:
    | { readonly kind: 'sending' | 'slow' }
    | { readonly kind: 'accepted'; readonly receipt: Receipt; readonly wasSlow: boolean }
    | { readonly kind: 'refused' | 'open'; readonly error: ApiError }
}

export interface Sent {
  readonly target: Target
  readonly draft: Draft
  /** `performance.now()` of the request. */
  readonly began: number
}

export const sending = signal<Sending | undefined>(undefined)

const sent = new Map<string, Sent>()

/** The event as this page sent it, if it did. */
export const sentAs = (id: string): Sent | undefined => sent.get(id)

/** Latencies of the last events that this page sent, from the request to the first arrival, in milliseconds. */
export const latencies: { readonly at: number; readonly latency: number }[] = []

const arrivals = new Map<string, number>()

/** Remembers when an event arrived: that may be before its receipt. */
export function noteArrival(id: string): void {
  if (id === '') return
  const at = performance.now()
  const mine = sent.get(id)
  if (mine !== undefined) noteLatency(at - mine.began)
  else if (isSending > 0) arrivals.set(id, at)
}

function noteLatency(latency: number): void {
  latencies.push({ at: Date.now(), latency })
  if (latencies.length > MAX_SENT) latencies.shift()
}

let isSending = 0

/** Publishes, and remembers what was sent. */
export async function publishFromHere(target: Target, draft: Draft, patience?: number): Promise<Receipt> {
  const began = performance.now()
  isSending++
  try {
    const receipt = await publish(target, draft, patience)
    if (receipt.id !== null) {
      sent.set(receipt.id, { target, draft, began })
      const [oldest] = sent.keys()
      if (sent.size > MAX_SENT && oldest !== undefined) sent.delete(oldest)
      const at = arrivals.get(receipt.id)
      if (at !== undefined) noteLatency(at - began)
    }
    return receipt
  } finally {
    isSending--
    if (isSending === 0) arrivals.clear()
  }
}

/**
 * Sends a draft with an idempotency key of its own, so that sending it again publishes it once. The request is not given up: a
 * suspended hub publishes what it received as soon as it runs again, and then the outcome is shown.
 */
export async function send(target: Target, draft: Draft): Promise<void> {
  const keyed = { idempotencyKey: newKey(), ...draft }
  const mine = {}
  current = mine
  const show = (outcome: Sending['outcome']) => {
    if (current === mine) sending.value = { target, draft: keyed, outcome }
    redrawSoon()
  }
  let isSlow = false
  const slow = setTimeout(() => {
    isSlow = true
    show({ kind: 'slow' })
  }, PATIENCE)
  show({ kind: 'sending' })
  try {
    show({ kind: 'accepted', receipt: await publishFromHere(target, keyed, 0), wasSlow: isSlow })
  } catch (error) {
    const problem = error as ApiError
    show({ kind: isOpen(problem) ? 'open' : 'refused', error: problem })
  } finally {
    clearTimeout(slow)
  }
}

let current: object | undefined

/** No answer, and the answer of a proxy: the hub may have published the event before. */
function isOpen({ status }: ApiError): boolean {
  return status === 0 || status === 200 || status === 502 || status === 504
}

/** `crypto.randomUUID` exists on secure pages only. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
