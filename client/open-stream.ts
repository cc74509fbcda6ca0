import type { Welcome } from '../services/events/hub-frames.ts'
import { type Attempt, attempt } from './attempt.ts'
import { backOff } from './back-off.ts'
import { systemClock } from './clock.ts'
import { environment, onWake } from './environment.ts'
import type { Frame } from './frame-reader.ts'
import { hubEvent, jsonOrText } from './hub-event.ts'
import type { Gap, HubStream, StreamState } from './hub-stream.ts'
import { iterate } from './iterate.ts'
import { keptCursor, type Position } from './kept-cursor.ts'
import { listenersOf } from './listeners.ts'
import type { StreamOptions } from './options.ts'
import { requestedTopics } from './requested-topics.ts'
import { requestsOf, type Used } from './requests.ts'
import type { EndReason, StreamEnd, StreamError } from './stream-end.ts'

/** Credentials are renewed so long before they expire, in milliseconds, or earlier in a short life. */
const RENEW_BEFORE = 60_000
/** The shortest wait before they are renewed. */
const RENEW_AFTER = 1_000
/** Events of the hub that are part of history. */
const LOGGED = /^(?!hub\.)|^hub\.(read|retract)$/

/** A stream over fetch: one attempt after the other, never two at once. */
export function openStream<Events extends object>(address: string | URL, options: StreamOptions): HubStream<Events> {
  const { clock = systemClock, random = Math.random, parse = jsonOrText, debug, auth, signal } = options
  const url = new URL(address, environment.document?.baseURI)
  let topics = requestedTopics(url, options.topics)
  const requests = requestsOf(url, options)
  const listeners = listenersOf<Events>()
  const { emit } = listeners
  const waits = backOff(random)
  const counters = { attempts: 0, opened: 0, events: 0, replayed: 0, gaps: 0, bytes: 0 }
  /** Aborted at the end, which removes all listeners elsewhere. */
  const life = new AbortController()

  let state: StreamState = { name: 'connecting', reason: undefined, error: undefined, nextAttempt: undefined }
  let welcome: Welcome | undefined
  let current: Attempt | undefined
  let openedAt: number | undefined
  let used: Used | undefined
  /** Whether the hub has refused credentials, and has not accepted any since. */
  let isRefused = false
  /** How many of the next events of the log are history. */
  let toReplay = 0
  let skipWait: (() => void) | undefined
  let stopRenewing: (() => void) | undefined

  const kept = keptCursor(options, url, (error) => emit('error', error))
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

  const reconnect = (): void => {
    skipWait?.()
    reopen('reconnect')
  }

  const advance = ({ id }: Frame): void => {
    // An empty id clears the position, as the standard says.
    if (id !== undefined) position = { id: id || undefined, user: position.user }
  }

  const dispatch = (frame: Frame): Promise<unknown> | undefined => {
    const isLogged = LOGGED.test(frame.event)
    const isReplayed = isLogged && frame.id !== undefined && toReplay > 0
    if (isLogged) counters.events++
    if (isReplayed) {
      toReplay--
      counters.replayed++
    }
    const event = hubEvent(frame, isReplayed, parse)
    if (frame.event === 'hub.gap') {
      counters.gaps++
      emit('gap', jsonOrText(event.text) as Gap)
    }
    return listeners.dispatch(event)
  }

  /** Requests credentials before those of the stream expire, and opens the stream with them. */
  const renewIn = (expiresIn: number): void => {
    const before = Math.min(RENEW_BEFORE, expiresIn / 5)
    stopRenewing = clock.after(Math.max(RENEW_AFTER, expiresIn - before), () => {
      requests.renew(used, 'expiring')
      requests.credentials().then(
        () => reopen('renewed'),
        (error) => emit('error', error)
      )
    })
  }

  const onFrame = (frame: Frame): Promise<unknown> | undefined => {
    debug?.(frame)
    const { event, data, retry } = frame
    if (retry !== undefined) waits.retry = retry
    if (data === undefined) {
      advance(frame)
      return
    }
    let end: StreamEnd | undefined
    if (event === 'hub.welcome') {
      const news = jsonOrText(data) as Welcome
      if (position.id !== undefined && position.user !== undefined && position.user !== news.user) {
        // The position is that of another user: the stream of this one begins anew.
        position = {}
        reopen('renewed')
        return
      }
      welcome = news
      position = { id: position.id, user: news.user }
      toReplay = news.replayed
      if (typeof news.heartbeatInterval === 'number') current?.dog.start(news.heartbeatInterval)
      if (auth && typeof news.expiresIn === 'number') renewIn(news.expiresIn)
    } else if (event === 'hub.close') {
      const { reason, reconnect } = jsonOrText(data) as { reason: EndReason; reconnect: boolean }
      end = { reason, isFinal: reconnect === false }
    }
    if (!end) opened()
    const handling = dispatch(frame)
    const handled = (): void => {
      // The id of a stream that has ended for good is no position.
      if (!end?.isFinal) advance(frame)
    }
    if (!handling) handled()
    if (end) current?.end(end)
    return handling?.then(handled)
  }

  const open = async (aborted: AbortSignal): Promise<Response> => {
    const { id } = position
    const target = new URL(url)
    if (topics.size > 0) target.searchParams.set('topics', [...topics].join())
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (id !== undefined) {
      // The header would need a preflight, and the consent of the server's CORS, at another origin.
      if (url.origin === (environment.location ?? url).origin) headers['last-event-id'] = id
      else target.searchParams.set('lastEventId', id)
    }
    used = requests.credentials()
    return requests.send(target, { headers, signal: aborted })
  }

  /** A refusal of credentials leads to new ones once, and is final then. */
  const judged = (end: StreamEnd): StreamEnd => {
    if (end.reason === 'expired') requests.renew(used, 'expiring')
    if (end.error?.status !== 401) return end
    if (!auth || isRefused) return { ...end, reason: 'unauthorized' }
    isRefused = true
    requests.renew(used, 'refused')
    return { ...end, isFinal: false, isImmediate: true }
  }

  /** Changes take effect in the order of the calls. A stream that is not open takes its topics along when it opens. */
  let changes: Promise<unknown> = Promise.resolve()
  const change = (method: 'add' | 'delete', names: readonly string[]): Promise<void> => {
    const changed = changes.then(async () => {
      const wanted = new Set(topics)
      for (const name of names) wanted[method](name)
      if (state.name === 'open' && welcome) {
        try {
          await requests.call('PUT', `streams/${welcome.stream}/topics`, { topics: [...wanted] })
          topics = wanted
          return
        } catch (error) {
          const { status = 0 } = error as StreamError
          // Otherwise the stream may have been replaced meanwhile.
          if (status !== 404 && status >= 400 && status < 500) throw error
        }
      }
      topics = wanted
      reopen('topics')
    })
    changes = changed.catch(() => undefined)
    return changed
  }

  const wait = async (end: StreamEnd): Promise<void> => {
    const pause = waits.next(openedAt === undefined ? 0 : clock.monotonic() - openedAt, end.retryAfter)
    await new Promise<void>((resolve) => {
      const stop = clock.after(pause, resolve)
      skipWait = () => {
        stop()
        resolve()
      }
      become('waiting', end, clock.now() + pause)
    })
    skipWait = undefined
  }

  /** Never rejects. */
  const run = async (): Promise<void> => {
    let end: StreamEnd | undefined
    while (!isClosed()) {
      become('connecting', end)
      counters.attempts++
      openedAt = undefined
      toReplay = 0
      const trial = attempt({
        clock,
        silenceTimeout: options.silenceTimeout ?? 60_000,
        maxFrameLength: options.maxFrameLength ?? 16_777_216,
        send: open,
        onFrame,
        onBytes: (count) => {
          counters.bytes += count
        },
        onPause: () => {
          if (!trial.hasEnded) opened()
          kept.save(position)
        }
      })
      current = trial
      // A handler of the state may have closed the stream.
      if (isClosed()) return
      end = judged(await trial.run())
      stopRenewing?.()
      kept.save(position)
      if (isClosed()) return
      if (end.error) emit('error', end.error)
      if (end.isFinal) finish(end)
      else if (!end.isImmediate) await wait(end)
    }
  }

  const stream: HubStream<Events> = {
    on: listeners.on,
    onEvent: listeners.onEvent,
    once: listeners.once,
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
    reconnectNow: reconnect,
    [Symbol.asyncIterator]: () => iterate(stream)
  }

  onWake(life.signal, (hasConnectionChanged) => {
    const { name, reason } = state
    if (hasConnectionChanged && name !== 'waiting') reconnect()
    else if (reason === 'network' || reason === 'silent') skipWait?.()
  })
  signal?.addEventListener('abort', stream.close, { signal: life.signal })
  // The caller adds handlers first.
  queueMicrotask(() => {
    position = options.lastEventId === undefined ? kept.load() : { id: options.lastEventId }
    if (signal?.aborted) stream.close()
    else void run()
  })
  return stream
}
