import { signal } from '@preact/signals'
import { credential } from '../state/credentials.ts'
import { API_BASE, type ApiError, access, stats } from './api.ts'
import type { Access, Stats } from './types.ts'

/** `asking`: there was no answer yet. `away`: no answer, or that of a proxy without a hub. */
export type Health = 'asking' | 'ready' | 'unready' | 'away'

/** The rights of the credentials in use. Undefined: not known. */
export interface Rights extends Access {
  /** Whether the hub needs no credentials. */
  readonly isOpen: boolean
}

const NONE: Access = { publish: false, close: false, read: false, ticket: false }

const EVERY = 3_000
const PATIENCE = 4_000
const SOON = 250

export const health = signal<Health>('asking')
/** When the hub last answered, in milliseconds since 1970. */
export const lastAnswer = signal(0)
export const hubStats = signal<Stats | undefined>(undefined)
export const rights = signal<Rights | undefined>(undefined)
/** Whether the credentials allow an action. Before the hub has answered, controls are shown: most hubs of newcomers are open. */
export const may = (action: Exclude<keyof Access, 'ticket'>) => rights.value?.[action] !== false
export const mayIssueTickets = () => rights.value?.ticket === true
/** Counts the answers with counts: what is shown of streams is asked again with each. */
export const polls = signal(0)
/** The round trip of the last poll, and the hub's clock minus this one, in milliseconds. */
export const roundTrip = signal<number | undefined>(undefined)
export const clockSkew = signal<number | undefined>(undefined)

let timer: ReturnType<typeof setTimeout> | undefined
let polling: Promise<unknown> | undefined

/** Polls readiness and counts while the page is visible. A poll that is on its way serves all callers. */
export async function poll(): Promise<void> {
  clearTimeout(timer)
  if (!document.hidden) {
    polling ??= Promise.all([pollReadiness(), pollRights().then(pollStats)])
    await polling
    polling = undefined
  }
  clearTimeout(timer)
  timer = setTimeout(poll, EVERY)
}

/** Polls a moment later, when the hub has counted what the page has just done. */
export function pollSoon(): void {
  clearTimeout(timer)
  timer = setTimeout(poll, SOON)
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

/** Asks once for each credential. A hub that refused it is not asked again with it. */
async function pollRights(): Promise<void> {
  if (rights.value !== undefined) return
  const asked = credential.value
  try {
    const found = await access()
    if (asked === credential.value) rights.value = { ...found, isOpen: asked === '' && found.publish && found.read }
  } catch (error) {
    if (asked === credential.value && isRefusal(error)) rights.value = { ...NONE, isOpen: false }
  }
}

async function pollStats(): Promise<void> {
  if (rights.value?.read !== true) return
  try {
    hubStats.value = await stats()
    polls.value++
  } catch (error) {
    hubStats.value = undefined
    // The rights of the key may have changed.
    if (isRefusal(error)) rights.value = undefined
  }
}

function isRefusal(error: unknown): boolean {
  const { status } = error as ApiError
  return status === 401 || status === 403 || status === 404
}

export function watchHealth(): void {
  document.addEventListener('visibilitychange', poll)
  credential.subscribe(() => {
    rights.value = undefined
    void poll()
  })
}
