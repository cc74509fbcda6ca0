import type { Welcome } from '../services/events/hub-frames.ts'
import { type Attempt, type AttemptParts, attempt } from './attempt.ts'
import { backOff } from './back-off.ts'
import { systemClock } from './clock.ts'
import { environment, onWake } from './environment.ts'
import { hubEvent, jsonOrText } from './hub-event.ts'
import type { EventMap, Gap, HubStream, StreamState } from './hub-stream.ts'
import { iterate } from './iterate.ts'
import { keptCursor, type Position } from './kept-cursor.ts'
import { listenersOf } from './listeners.ts'
import type { StreamOptions } from './options.ts'
import { requestedTopics } from './requested-topics.ts'
import { requestsOf, type Used } from './requests.ts'
import type { EndReason, StreamEnd, StreamError } from './stream-end.ts'

/** Events of the hub that are part of history. */
const LOGGED = /^(?!hub\.(?!read$|retract$))/
/** Statuses that refuse a change of topics: every 4xx but that of a stream that is gone. */
const REFUSED = /^4(?!04)/

/**
 * Opens a stream of a hub over fetch: one attempt after the other, never two at once. It begins after the current task, so
 * that handlers that are added at once miss nothing.
 * @param address the address of the events, such as `/events`
 */
export function connect<Events extends object = EventMap>(
  address: string | URL,
  options: StreamOptions = {}
): HubStream<Events> {
  const { clock = systemClock, random = Math.random, parse = jsonOrText, debug, auth, signal } = options
  const url = new URL(address, environment.document?.baseURI)
  let topics = requestedTopics(url, options.topics)
  const requests = requestsOf(url, options)
  const { dispatch, emit, ...subscriptions } = listenersOf<Events>()
  const nextWait = backOff(random)
  const counters = { attempts: 0, opened: 0, events: 0, replayed: 0, gaps: 0, bytes: 0 }
  /** Aborted at the end, which removes all listeners elsewhere. */
  const life = new AbortController()

  let state: StreamState = { name: 'connecting' }
  let welcome: Welcome | undefined
  let current: Attempt | undefined
  let openedAt: number | undefined
  let used: Used | undefined
  /** Whether the hub has refused credentials, and has not accepted any since. */
  let isRefused = false
  /** How many of the next events of the log are history. */
  let toReplay = 0
  /** The reconnection time that the hub sent. */
  let reconnectionTime: number | undefined
  let skipWait: (() => void) | undefined
  let stopRenewing: (() => void) | undefined

  const report = (error: StreamError): void => emit('error', error)
  const kept = keptCursor(options, url, report)
  let position: Position = {}

  const isClosed = (): boolean => state.name === 'closed'

  const become = (name: StreamState['name'], end?: StreamEnd, nextAttempt?: number): void => {
    if (isClosed()) return
    state = { name, reason: end?.reason, error: end?.error, nextAttempt }
    emit('state', state)
  }

  const opened = (): void => {
    if (openedAt !== undefined) return
    openedAt = clock.monotonic()
    counters.opened++
    isRefused = false
    become('open')
  }

  const finish = (end: StreamEnd): void => {
    if (isClosed()) return
    life.abort()
    become('closed', end)
    current?.end(end)
    skipWait?.()
    stopRenewing?.()
    emit('close', state)
  }

  /** Replaces the attempt, if there is one. */
  const reopen = (reason: EndReason): void => current?.end({ reason, isImmediate: true })

  /**
   * Requests credentials before those of the stream expire, and opens the stream with them: a minute before, later in a short
   * life, and after a second at the earliest.
   */
  const renewIn = (expiresIn: number): void => {
    stopRenewing = clock.after(Math.max(1_000, expiresIn - 60_000, expiresIn * 0.8), () => {
      requests.renew(used, 'expiring')
      requests.credentials().then(() => reopen('renewed'), report)
    })
  }

  /** The share of the stream in each attempt. */
  const parts: AttemptParts = {
    clock,
    options,
    counters,
    async send(aborted) {
      const { id } = position
      const target = new URL(url)
      if (topics.size) target.searchParams.set('topics', [...topics].join())
      const headers: Record<string, string> = { accept: 'text/event-stream' }
      if (id) {
        // The header would need a preflight, and the consent of the server's CORS, at another origin.
        if (url.origin === (environment.location ?? url).origin) headers['last-event-id'] = id
        else target.searchParams.set('lastEventId', id)
      }
      used = requests.credentials()
      return requests.send(target, { headers, signal: aborted })
    },
    onFrame(frame) {
      debug?.(frame)
      const { event, data, id, retry } = frame
      let end: StreamEnd | undefined
      let handling: Promise<unknown> | undefined
      const handled = (): void => {
        // The id of a stream that has ended for good is no position. An empty id clears it, as the standard says.
        if (id !== undefined && !end?.isFinal) position.id = id || undefined
      }
      reconnectionTime = retry ?? reconnectionTime
      if (data !== undefined) {
        const isLogged = LOGGED.test(event)
        const isReplayed = isLogged && !!id && toReplay > 0
        if (event === 'hub.welcome') {
          const news = jsonOrText(data) as Welcome
          if (position.id && position.user !== undefined && position.user !== news.user) {
            // The position is that of another user: the stream of this one begins anew.
            position = {}
            reopen('renewed')
            return
          }
          welcome = news
          position.user = news.user
          toReplay = news.replayed
          current?.dog.start(news.heartbeatInterval)
          if (auth && news.expiresIn) renewIn(news.expiresIn)
        } else if (event === 'hub.close') {
          const { reason, reconnect } = jsonOrText(data) as { reason: EndReason; reconnect: boolean }
          end = { reason, isFinal: reconnect === false }
          // A refusal does not open the stream.
          openedAt ??= clock.monotonic()
        }
        opened()
        if (isLogged) counters.events++
        if (isReplayed) {
          toReplay--
          counters.replayed++
        }
        if (event === 'hub.gap') {
          counters.gaps++
          emit('gap', jsonOrText(data) as Gap)
        }
        handling = dispatch(hubEvent(frame, isReplayed, parse))
      }
      if (!handling) handled()
      if (end) current?.end(end)
      return handling?.then(handled)
    },
    onPause() {
      opened()
      kept.save(position)
    }
  }

  /** A refusal of credentials leads to new ones once, and is final then. */
  const judged = (end: StreamEnd): StreamEnd => {
    if (end.reason === 'expired') requests.renew(used, 'expiring')
    if (end.error?.status !== 401) return end
    if (!auth || isRefused) return { ...end, reason: 'unauthorized' }
    isRefused = true
    requests.renew(used, 'refused')
    return { ...end, isImmediate: true }
  }

  /** Changes take effect in the order of the calls. A stream that is not open takes its topics along when it opens. */
  let changes: Promise<unknown> = Promise.resolve()
  const change = (method: 'add' | 'delete', names: readonly string[]): Promise<void> => {
    const changed = changes.then(async () => {
      const wanted = new Set(topics)
      for (const name of names) wanted[method](name)
      let isDone = false
      if (state.name === 'open' && welcome) {
        try {
          await requests.call('PUT', `streams/${welcome.stream}/topics`, { topics: [...wanted] })
          isDone = true
        } catch (error) {
          // Otherwise the stream may have been replaced meanwhile.
          if (REFUSED.test(String((error as StreamError).status))) throw error
        }
      }
      topics = wanted
      if (!isDone) reopen('topics')
    })
    changes = changed.catch(() => undefined)
    return changed
  }

  const wait = async (end: StreamEnd): Promise<void> => {
    const openFor = openedAt === undefined ? 0 : clock.monotonic() - openedAt
    const pause = nextWait(openFor, reconnectionTime, end.retryAfter)
    let stop: (() => void) | undefined
    await new Promise<void>((resolve) => {
      skipWait = resolve
      stop = clock.after(pause, resolve)
      become('waiting', end, clock.now() + pause)
    })
    stop?.()
  }

  /** Never rejects. */
  const run = async (): Promise<void> => {
    let end: StreamEnd | undefined
    while (!isClosed()) {
      become('connecting', end)
      counters.attempts++
      openedAt = undefined
      toReplay = 0
      current = attempt(parts)
      // A handler of the state may have closed the stream.
      if (isClosed()) return
      end = judged(await current.run())
      stopRenewing?.()
      kept.save(position)
      if (isClosed()) return
      if (end.error) report(end.error)
      if (end.isImmediate) continue
      if (end.isFinal) finish(end)
      else await wait(end)
    }
  }

  const stream: HubStream<Events> = {
    ...subscriptions,
    counters,
    get state() {
      return state
    },
    get welcome() {
      return welcome
    },
    get lastEventId() {
      return position.id
    },
    get topics() {
      return [...topics]
    },
    subscribe: (names) => change('add', names),
    unsubscribe: (names) => change('delete', names),
    request: requests.call,
    close: () => finish({ reason: 'stopped' }),
    reconnectNow() {
      skipWait?.()
      reopen('reconnect')
    },
    [Symbol.asyncIterator]: () => iterate(stream)
  }

  onWake(life.signal, (hasConnectionChanged) => {
    const { reason } = state
    if (hasConnectionChanged) reopen('reconnect')
    if (reason === 'network' || reason === 'silent') skipWait?.()
  })
  signal?.addEventListener('abort', stream.close, { signal: life.signal })
  // The caller adds handlers first.
  queueMicrotask(() => {
    position = options.lastEventId === undefined ? kept.load() : { id: options.lastEventId }
    if (signal?.aborted) stream.close()
    void run()
  })
  return stream
}
