import type { Welcome } from '../../services/events/hub-frames.ts'
import { systemClock } from '../clock.ts'
import { connect } from '../connect.ts'
import { environment } from '../environment.ts'
import { jsonOrText } from '../hub-event.ts'
import type { EventMap, HubStream, StreamState } from '../hub-stream.ts'
import { iterate } from '../iterate.ts'
import { keptCursor } from '../kept-cursor.ts'
import { listenersOf } from '../listeners.ts'
import type { StreamOptions } from '../options.ts'
import { requestedTopics } from '../requested-topics.ts'
import { requestsOf } from '../requests.ts'
import { StreamError } from '../stream-end.ts'
import { entryIntake } from './entry-intake.ts'
import { entriesOf, type Leader, lead, onEveryEvent } from './leader.ts'
import { holdLock, leadership, locksOfPage, onRelease } from './locks.ts'
import type { Message } from './messages.ts'

/** How many entries may wait for the handlers of a follower, which asks for the others later. */
const MAX_QUEUED = 1_000
/** In milliseconds: a follower that hears nothing for so long asks whether there is a leader, and then leads itself. */
const LEADER_TIMEOUT = 10_000

export interface SharedOptions extends StreamOptions {
  /** The user as the hub names it: tabs of another user never share, and the events of another user are never shown. */
  readonly user: string
  /**
   * A follower that hears nothing for so many milliseconds asks whether there is a leader. After as long again it leads itself.
   * @default 10_000
   */
  readonly leaderTimeout?: number | undefined
}

export interface SharedStream<Events extends object> extends HubStream<Events> {
  /**
   * - `leader`: this tab holds the stream of all tabs.
   * - `follower`: another tab does.
   * - `alone`: the page has no Web Locks, as over plain HTTP, so each tab has a stream of its own.
   */
  readonly role: 'leader' | 'follower' | 'alone'
}

/**
 * Opens a stream that all tabs of the origin share which name the same URL and user. Each tab has handlers and a cursor of its
 * own. A tab may receive events of topics that another tab has requested.
 */
export function connectShared<Events extends object = EventMap>(
  address: string | URL,
  options: SharedOptions
): SharedStream<Events> {
  const locks = locksOfPage()
  if (locks === undefined || typeof BroadcastChannel === 'undefined')
    return Object.defineProperty(connect<Events>(address, options), 'role', {
      value: 'alone'
    }) as SharedStream<Events>

  const { clock = systemClock, parse = jsonOrText, signal, user, leaderTimeout = LEADER_TIMEOUT } = options
  const url = new URL(address, environment.document?.baseURI)
  const key = `sse-hub ${url.href} ${user}`
  const tab = crypto.randomUUID()
  const channel = new BroadcastChannel(key)
  const requests = requestsOf(url, options)
  const listeners = listenersOf<Events>()
  const { dispatch, emit, ...subscriptions } = listeners
  const kept = keptCursor(options, url, (error) => emit('error', error))
  const counters = { attempts: 0, opened: 0, events: 0, replayed: 0, gaps: 0, bytes: 0 }
  const life = new AbortController()
  /** The topics of each tab, and those that the leader had requested last. */
  const topicsOf = new Map<string, readonly string[]>()
  const own = requestedTopics(url, options.topics)
  let all: readonly string[] = [...own]

  let state: StreamState = { name: 'connecting' }
  let welcome: Welcome | undefined
  let leader: Leader | undefined
  /** Reads the history that the leader no longer has. */
  let side: HubStream | undefined
  let isMissing = false
  /** A new leader does not yet know the topics of all followers. */
  let mayForgetTopics = false
  let stopWatching: (() => void) | undefined

  const post = (message: Message): void => {
    if (!life.signal.aborted) channel.postMessage(message)
  }

  const become = (next: StreamState): void => {
    if (state.name === 'closed') return
    state = next
    emit('state', state)
    if (next.name !== 'closed') return
    leader?.close()
    side?.close()
    life.abort()
    stopWatching?.()
    channel.close()
    emit('close', state)
  }

  const finish = (reason: 'stopped' | 'unauthorized', error?: StreamError): void =>
    become({ name: 'closed', reason, error })

  const isOfUser = (news: Welcome | undefined): boolean => {
    if (news === undefined || news.user === user) return true
    finish('unauthorized', new StreamError('unauthorized', 'the stream is of another user'))
    return false
  }

  /** Asks for all that this tab misses, once. */
  const ask = (): void => {
    if (isMissing || leader !== undefined) return
    isMissing = true
    post({ type: 'missing', tab, from: intake.cursor })
  }

  const intake = entryIntake(listeners, {
    from: options.lastEventId ?? kept.load().id,
    parse,
    counters,
    isClosed: () => life.signal.aborted,
    onWelcome: (news) => {
      if (!isOfUser(news)) return false
      welcome = news
      return true
    },
    onMissing: ask,
    onAdvance: (id) => kept.save({ id, user })
  })

  /** Reads history up to a position that the leader's entries continue. */
  const readHistory = (): void => {
    if (side !== undefined) return
    const { cursor } = intake
    const reading: HubStream = connect(url, { ...options, persist: undefined, lastEventId: cursor, topics: all })
    side = reading
    const entryOf = entriesOf(cursor)
    onEveryEvent(reading, (event) => intake.enqueue(entryOf(event)))
    reading.on('close', () => {
      if (side === reading) side = undefined
      isMissing = false
    })
  }

  const requestTopics = (): void => {
    if (leader === undefined) {
      post({ type: 'hello', tab, topics: [...own] })
      return
    }
    const { stream } = leader
    topicsOf.set(tab, [...own])
    all = [...new Set([...(mayForgetTopics ? [] : stream.topics), ...topicsOf.values()].flat())]
    const added = all.filter((topic) => !stream.topics.includes(topic))
    const removed = stream.topics.filter((topic) => !all.includes(topic))
    for (const change of [added.length && stream.subscribe(added), removed.length && stream.unsubscribe(removed)])
      if (change)
        change.then(
          () => leader?.report(),
          (error) => emit('error', error)
        )
  }

  const startLeading = (): void => {
    stopWatching?.()
    side?.close()
    topicsOf.clear()
    topicsOf.set(tab, [...own])
    leader = lead({
      url,
      options,
      from: intake.cursor,
      topics: new Set([...all, ...own]),
      post,
      take: intake.enqueue,
      onState: (next, stream) => {
        if (!isOfUser(stream.welcome)) return
        if (next.name === 'open') counters.opened++
        if (next.name === 'connecting') counters.attempts++
        counters.bytes = stream.counters.bytes
        become(next)
      }
    })
    leader.stream.on('error', (error) => emit('error', error))
    mayForgetTopics = false
    stopWatching = clock.after(leaderTimeout, () => {
      mayForgetTopics = true
      requestTopics()
    })
    post({ type: 'leader' })
  }

  const stopLeading = (): void => {
    leader?.close()
    leader = undefined
    isMissing = false
    follow()
    requestTopics()
  }

  const lock = leadership(locks, key, life.signal, startLeading, stopLeading)

  /** Watches for messages of the leader. */
  const follow = (hasAsked = false): void => {
    stopWatching?.()
    stopWatching = clock.after(leaderTimeout, () => {
      if (hasAsked) return lock.steal()
      post({ type: 'ping' })
      follow(true)
    })
  }

  const onFollower = (message: Message, leading: Leader): void => {
    if (message.type === 'missing') leading.serve(message.tab, message.from)
    // A frozen tab handles messages, but neither timers nor its stream: it must not pass for a leader that lives.
    else if (message.type === 'ping') clock.after(0, () => leader?.report())
    else if (message.type === 'hello') {
      if (!topicsOf.has(message.tab)) {
        onRelease(locks, `${key} ${message.tab}`, life.signal, () => {
          topicsOf.delete(message.tab)
          requestTopics()
        })
      }
      topicsOf.set(message.tab, message.topics)
      requestTopics()
      leading.report(message.tab)
    }
  }

  const onLeader = (message: Message): void => {
    if ('to' in message && message.to !== undefined && message.to !== tab) return
    if (message.type === 'leader') {
      isMissing = false
      requestTopics()
    } else if (message.type === 'state') {
      if (!isOfUser(message.welcome)) return
      welcome = message.welcome
      all = message.topics
      if (intake.cursor === undefined && message.at !== undefined) {
        intake.begin(message.at)
        isMissing = false
      } else if (message.at !== undefined && !intake.hasHandled(message.at)) ask()
      const { error } = message.state
      become({ ...message.state, error: error && new StreamError(error.code, error.message, error.status) })
    } else if (message.type === 'entries') {
      if (message.to !== undefined) isMissing = false
      for (const entry of message.entries) if (intake.queued < MAX_QUEUED) void intake.enqueue(entry)
      const last = message.entries.at(-1)
      // The side stream has caught up once an entry of the leader continues it.
      if (side !== undefined && last?.after !== undefined && intake.hasHandled(last.after)) side.close()
    } else if (message.type === 'history') readHistory()
    else return
    follow()
  }

  channel.addEventListener('message', (event) => {
    const { data } = event as Event & { readonly data: Message }
    if (leader !== undefined) onFollower(data, leader)
    else onLeader(data)
  })
  signal?.addEventListener('abort', () => finish('stopped'), { signal: life.signal })
  holdLock(locks, `${key} ${tab}`, life.signal)
  follow()
  requestTopics()

  const stream: SharedStream<Events> = {
    ...subscriptions,
    counters,
    get role() {
      return leader === undefined ? ('follower' as const) : ('leader' as const)
    },
    get state() {
      return state
    },
    get welcome() {
      return welcome
    },
    get lastEventId() {
      return intake.cursor
    },
    get topics() {
      return [...own]
    },
    async subscribe(topics) {
      for (const topic of topics) own.add(topic)
      requestTopics()
    },
    async unsubscribe(topics) {
      for (const topic of topics) own.delete(topic)
      requestTopics()
    },
    request: requests.call,
    close: () => finish('stopped'),
    reconnectNow: () => leader?.stream.reconnectNow(),
    [Symbol.asyncIterator]: () => iterate(stream)
  }
  return stream
}
