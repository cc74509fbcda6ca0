import { signal } from '@preact/signals'
import type { Row } from '../hub/event-store.ts'

/** The dialogs that are open, one of each kind. */
export const openStreamDialog = signal(false)
export const sendDialog = signal(false)
export const palette = signal(false)
/** The user for whom a ticket is about to be issued. */
export const ticketDialog = signal<string | undefined>(undefined)
/** The row that the drawer shows. */
export const selected = signal<Row | undefined>(undefined)

export interface Question {
  readonly title: string
  readonly text: string
  readonly action: string
  readonly run: () => Promise<unknown>
}

/** Asks before something that cannot be undone. */
export const question = signal<Question | undefined>(undefined)
