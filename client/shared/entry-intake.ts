import type { Welcome } from '../../services/events/hub-frames.ts'
import { hubEvent } from '../hub-event.ts'
import type { Gap } from '../hub-stream.ts'
import type { Listeners } from '../listeners.ts'
import { StreamError } from '../stream-end.ts'
import type { Entry } from './messages.ts'
import { recentIds } from './recent-ids.ts'

export interface IntakeParts {
  /** The cursor of the tab: the events up to it have been handled. */
  readonly from: string | undefined
  readonly parse: (text: string, name: string) => unknown
  readonly counters: { events: number; replayed: number; gaps: number }
  readonly isClosed: () => boolean
  /** Returns whether the welcome is that of the tab's user. */
  readonly onWelcome: (welcome: Welcome) => boolean
  /** An entry does not continue the cursor. */
  readonly onMissing: () => void
  readonly onAdvance: (cursor: string) => void
}

/** Hands the entries that continue the cursor of a tab to its handlers, each once, wherever they come from. */
export interface EntryIntake {
  readonly cursor: string | undefined
  /** How many entries wait for the handlers. */
  readonly queued: number
  hasHandled(id: string): boolean
  /** Sets the cursor of a tab that has none. */
  begin(cursor: string): void
  /** Resolves once the entry is handled; never rejects. */
  enqueue(entry: Entry): Promise<unknown>
}

export function entryIntake<Events extends object>(
  { dispatch, emit }: Listeners<Events>,
  parts: IntakeParts
): EntryIntake {
  const { counters } = parts
  const handled = recentIds()
  let cursor: string | undefined
  let queued = 0
  let queue: Promise<unknown> = Promise.resolve()

  const begin = (id: string): void => {
    cursor = id
    handled.add(id)
  }

  const take = async (entry: Entry): Promise<void> => {
    const { after, name, text, id, isReplayed } = entry
    if (parts.isClosed() || (id !== undefined && handled.has(id) && name !== 'hub.welcome')) return
    if (after !== cursor && (after === undefined || !handled.has(after))) return parts.onMissing()
    const event = hubEvent({ raw: '', event: name, data: text, id, retry: undefined }, isReplayed, parts.parse)
    const isOwn = name.startsWith('hub.')
    if (name === 'hub.welcome' && !parts.onWelcome(event.data as Welcome)) return
    if (!isOwn) counters.events++
    if (isReplayed) counters.replayed++
    if (name === 'hub.gap') {
      counters.gaps++
      emit('gap', event.data as Gap)
    }
    await dispatch(event)
    if (id === undefined) return
    handled.add(id)
    // A tab may be ahead of a leader that resumes: then only an event that is new moves its cursor.
    if (after !== cursor && isOwn) return
    cursor = id
    parts.onAdvance(id)
  }

  if (parts.from !== undefined) begin(parts.from)
  return {
    begin,
    get cursor() {
      return cursor
    },
    get queued() {
      return queued
    },
    hasHandled: handled.has,
    enqueue(entry) {
      queued++
      // Sources wait for each other: a tab handles one entry at a time.
      queue = queue
        .then(() => take(entry))
        // Handlers report their failures themselves.
        .catch((cause) => emit('error', new StreamError('handler', cause)))
        .then(() => {
          queued--
        })
      return queue
    }
  }
}
