import { signal } from '@preact/signals'
import { credential } from '../state/credentials.ts'
import { API_BASE, type ApiError, stats } from './api.ts'
import type { Stats } from './types.ts'

/** `asking`: there was no answer yet. `away`: no answer, or that of a proxy without a hub. */
export type Health = 'asking' | 'ready' | 'unready' | 'away'

/** The rights of the credentials in use. Undefined: not known. */
export interface Rights {
  /** Whether the hub needs no credentials. */
  readonly isOpen: boolean
  readonly read: boolean
}

const EVERY = 3_000
const PATIENCE = 4_000

export const health = signal<Health>('asking')
/** When the hub last answered, in milliseconds since 1970. */
export const lastAnswer = signal(0)
export const hubStats = signal<Stats | undefined>(undefined)
export const rights = signal<Rights | undefined>(undefined)
/** The round trip of the last poll, and the hub's clock minus this one, in milliseconds. */
export const roundTrip = signal<number | undefined>(undefined)
export const clockSkew = signal<number | undefined>(undefined)

let timer: ReturnType<typeof setTimeout> | undefined
let polling: Promise<unknown> | undefined

/** Polls readiness and counts while the page is visible. A poll that is on its way serves all callers. */
export async function poll(): Promise<void> {
  clearTimeout(timer)
  if (!document.hidden) {
    polling ??= Promise.all([pollReadiness(), pollStats()])
    await polling
    polling = undefined
  }
  clearTimeout(timer)
  timer = setTimeout(poll, EVERY)
}

async function pollReadiness(): Promise<void> {
  const start = Date.now()
  const began = performance.now()
  try {
    const response = await fetch(new URL('health/ready', API_BASE), {
      cache: 'no-store',
      signal: AbortSignal.timeout(PATIENCE)
    })
    const body = (await response.json()) as { status?: string }
    if (body.status !== 'ok' && body.status !== 'unavailable') throw new Error('not a hub')
    roundTrip.value = performance.now() - began
    const date = Date.parse(response.headers.get('date') ?? '')
    // The header has whole seconds.
    clockSkew.value = Number.isNaN(date) ? undefined : date + 500 - (start + roundTrip.value / 2)
    lastAnswer.value = Date.now()
    health.value = body.status === 'ok' ? 'ready' : 'unready'
  } catch {
    health.value = 'away'
    // Outdated numbers would look current.
    hubStats.value = undefined
  }
}

async function pollStats(): Promise<void> {
  // A hub that refused these credentials is not asked again with them.
  if (rights.value?.read === false) return
  try {
    hubStats.value = await stats()
    rights.value = { isOpen: credential.value === '', read: true }
  } catch (error) {
    hubStats.value = undefined
    const { status } = error as ApiError
    if (status === 401 || status === 403 || status === 404) rights.value = { isOpen: false, read: false }
  }
}

export function watchHealth(): void {
  document.addEventListener('visibilitychange', poll)
  credential.subscribe(() => {
    rights.value = undefined
    void poll()
  })
}
