import { history, type Target } from './api.ts'
import type { EventRow } from './event-store.ts'
import type { HubStream } from './hub-stream.ts'
import { sentAs } from './sending.ts'

/** Where the hub has filed an event, and when it was published, by the hub's clock. */
export interface Located {
  readonly target: Target
  readonly time: string
}

/** A frame does not say when it was published. The histories of the streams that received it do, for those who may read them. */
export async function locate(row: EventRow, streams: readonly HubStream[]): Promise<Located | undefined> {
  if (row.id === '') return undefined
  for (const target of targetsOf(row, streams)) {
    const after = row.previousId.endsWith('.end') ? '' : row.previousId
    const page = await history(target, { after, limit: 50 }).catch(() => undefined)
    const found = page?.events.find(({ id }) => id === row.id)
    if (found !== undefined) return { target, time: found.time }
  }
  return undefined
}

const MAX_TARGETS = 10

function targetsOf({ id }: EventRow, streams: readonly HubStream[]): Target[] {
  const mine = sentAs(id)
  if (mine !== undefined) return [mine.target]
  const topics = new Set(streams.flatMap(({ wish }) => wish.topics))
  const users = new Set(streams.map(({ wish }) => wish.user))
  return [
    ...Array.from(users, (name) => ({ kind: 'user' as const, name })),
    ...Array.from(topics, (name) => ({ kind: 'topic' as const, name })),
    { kind: 'everyone' as const }
  ].slice(0, MAX_TARGETS)
}
