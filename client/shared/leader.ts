import { connect } from '../connect.ts'
import type { HubEvent } from '../hub-event.ts'
import type { HubStream, OwnEvents, StreamState } from '../hub-stream.ts'
import type { StreamOptions } from '../options.ts'
import type { Entry, Message } from './messages.ts'

/** How many of its newest entries, and characters of them, a leader keeps for followers that miss them. */
const MAX_ENTRIES = 1_000
const MAX_LENGTH = 1_048_576

const OWN_EVENTS: readonly (keyof OwnEvents)[] = [
  'hub.welcome',
  'hub.heartbeat',
  'hub.gap',
  'hub.topics',
  'hub.unread',
  'hub.read',
  'hub.retract',
  'hub.close'
]

export interface LeaderParts {
  readonly url: URL
  readonly options: StreamOptions
  /** The position from which the leader resumes. */
  readonly from: string | undefined
  /** The topics of all tabs. */
  readonly topics: Iterable<string>
  readonly post: (message: Message) => void
  /** Takes an entry; the next one comes after the promise. */
  readonly take: (entry: Entry) => Promise<unknown>
  readonly onState: (state: StreamState, stream: HubStream) => void
}

/** The tab that holds the stream of all. */
export interface Leader {
  readonly stream: HubStream
  /** Sends the state of the stream to a tab, or to all. */
  report(to?: string): void
  /** Sends a follower the entries after one of its own. */
  serve(tab: string, from: string | undefined): void
  close(): void
}

/** Calls back for every event of a stream, those of the hub included. */
export function onEveryEvent(stream: HubStream, take: (event: HubEvent) => unknown): void {
  stream.on('*', take)
  for (const name of OWN_EVENTS) stream.on(name, take)
}

/** Turns the events of a stream into entries. */
export function entriesOf(from: string | undefined): (event: HubEvent) => Entry {
  let after = from
  return ({ name, text, id, isReplayed }) => {
    const entry = { after, name, text, id, isReplayed }
    after = id ?? after
    return entry
  }
}

export function lead({ url, options, from, topics, post, take, onState }: LeaderParts): Leader {
  const recent: Entry[] = []
  let length = 0
  let at = from
  let isOver = false
  const stream: HubStream = connect(url, { ...options, persist: undefined, lastEventId: from, topics: [...topics] })
  const entryOf = entriesOf(from)

  const report = (to?: string): void => {
    const { name, reason, nextAttempt, error } = stream.state
    const sent = error && { code: error.code, message: error.message, status: error.status }
    const state = { name, reason, nextAttempt, error: sent }
    post({ type: 'state', to, state, welcome: stream.welcome, topics: stream.topics, at })
  }

  onEveryEvent(stream, (event) => {
    const entry = entryOf(event)
    at = event.id ?? at
    recent.push(entry)
    length += entry.text.length
    while (recent.length > MAX_ENTRIES || (length > MAX_LENGTH && recent.length > 1))
      length -= recent.shift()?.text.length ?? 0
    post({ type: 'entries', entries: [entry] })
    return take(entry)
  })
  stream.on('state', (state) => {
    if (isOver) return
    report()
    onState(state, stream)
  })

  return {
    stream,
    report,
    serve(tab, from) {
      if (from === undefined) return report(tab)
      if (from === at) return post({ type: 'entries', to: tab, entries: [] })
      const first = recent.findIndex(({ after }) => after === from)
      if (first === -1) post({ type: 'history', to: tab })
      else post({ type: 'entries', to: tab, entries: recent.slice(first) })
    },
    close() {
      isOver = true
      stream.close()
    }
  }
}
