import { ADMINISTRATION } from './administration.ts'
import type { Operation } from './operation.ts'
import { PUBLISHING } from './publishing.ts'
import { READING } from './reading.ts'
import { SUBSCRIBING } from './subscribing.ts'

/** The documentation of each route, by its method and its path below the prefix. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...SUBSCRIBING,
  ...PUBLISHING,
  ...READING,
  ...ADMINISTRATION
}

export const TAGS = [
  {
    name: 'Subscribing',
    description: 'Event streams, and what a subscriber reads with the credentials of its streams'
  },
  { name: 'Publishing', description: 'Events to users, topics and everyone' },
  { name: 'Reading', description: 'Histories, inboxes and presence' },
  { name: 'Administration', description: 'Closing streams, tickets, counts' },
  { name: 'Health', description: 'Probes' }
]
