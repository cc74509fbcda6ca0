import type { Welcome } from '../services/events/hub-frames.ts'
import { Attempt } from './attempt.ts'
import { BackOff } from './back-off.ts'
import { type Clock, systemClock } from './clock.ts'
import { environment, onWake } from './environment.ts'
import type { Frame } from './frame-parser.ts'
import { HubEvent, jsonOrText } from './hub-event.ts'
import { HubRequests } from './hub-requests.ts'
import type { EventMap, Gap, HubStream, StreamState } from './hub-stream.ts'
import { KeptCursor, type Position } from './kept-cursor.ts'
import type { StreamOptions } from './options.ts'
import { type EndReason, type StreamEnd, StreamError } from './stream-end.ts'
import { StreamListeners } from './stream-listeners.ts'

const SILENCE_TIMEOUT = 60_000
const MAX_FRAME_LENGTH = 16_777_216
/** Credentials are renewed this long before they expire, in milliseconds, or earlier in a short life. */
const RENEW_BEFORE = 60_000
/** The shortest wait before they are renewed. */
const RENEW_AFTER = 1_000
/** Events of the hub that are not part of history. */
const OUTSIDE_HISTORY = new Set(['hub.welcome', 'hub.heartbeat', 'hub.gap', 'hub.topics', 'hub.unread', 'hub.close'])

/** A stream over fetch: one attempt after the other, never two at once. */
export class FetchStream<Events extends object = EventMap> implements HubStream<Events> {
  readonly #options: StreamOptions
  readonly #clock: Clock
  readonly #listeners = new StreamListeners<Events>()
  readonly #requests: HubRequests
  readonly #backOff: BackOff
  readonly #kept: KeptCursor
  readonly #topics: Set<string>
  readonly #release: () => void
  readonly counters = { attempts: 0, opened: 0, events: 0, replayed: 0, gaps: 0, bytes: 0 }
  readonly on: HubStream<Events>['on'] = this.#listeners.on
  readonly onEvent: HubStream<Events>['onEvent'] = this.#listeners.onEvent
  readonly once: HubStream<Events>['once'] = this.#listeners.once
  welcome: Welcome | undefined
  state: StreamState = { name: 'connecting', reason: undefined, error: undefined, nextAttempt: undefined }
  #position: Position | undefined
  #attempt: Attempt | undefined
  #openedAt: number | undefined
  /** Whether the hub has refused credentials, and has not accepted any since. */
  #isRefused = false
  /** How many of the next events of the log are history. */
  #toReplay = 0
  #skipWait: (() => void) | undefined
  #stopRenewing: (() => void) | undefined

  constructor(address: string | URL, options: StreamOptions) {
    const { clock = systemClock, random = Math.random, persist, user = '', lastEventId, topics = [], signal } = options
    const url = new URL(address, environment.document?.baseURI)
    this.#options = options
    this.#clock = clock
    this.#topics = new Set([...url.searchParams.getAll('topics').flatMap((list) => list.split(',')), ...topics])
    this.#topics.delete('')
    this.#requests = new HubRequests(url, options)
    this.#backOff = new BackOff(random)
    this.#kept = new KeptCursor(
      persist === 'session' ? environment.sessionStorage : persist,
      `sse-hub ${url.origin}${url.pathname} ${user}`,
      (cause) => this.#fail(new StreamError('persist', 'the cursor cannot be kept', { cause }))
    )
    this.#position = lastEventId === undefined ? this.#kept.load() : { id: lastEventId, user: undefined }
    const close = (): void => this.close()
    const stopWaking = onWake((hasConnectionChanged) => this.#wake(hasConnectionChanged))
    this.#release = () => {
      stopWaking()
      signal?.removeEventListener('abort', close)
      this.#stopRenewing?.()
    }
    signal?.addEventListener('abort', close)
    // The caller adds handlers first.
    queueMicrotask(() => (signal?.aborted ? this.close() : this.#run()))
  }

  get #isClosed(): boolean {
    return this.state.name === 'closed'
  }

  get lastEventId(): string | undefined {
    return this.#position?.id
  }

  [Symbol.asyncIterator](): AsyncIterator<never> {
    return this.#listeners.iterate() as AsyncIterator<never>
  }

  close(): void {
    this.#finish({ reason: 'stopped' })
  }

  reconnectNow(): void {
    this.#skipWait?.()
    this.#attempt?.end({ reason: 'reconnect', isImmediate: true })
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    let end: StreamEnd | undefined
    while (!this.#isClosed) {
      end = await this.#try(end)
      if (end.error !== undefined && !this.#isClosed) this.#fail(end.error)
      if (end.isFinal) return this.#finish(end)
      if (!end.isImmediate) await this.#wait(end)
    }
  }

  async #try(last: StreamEnd | undefined): Promise<StreamEnd> {
    const { silenceTimeout = SILENCE_TIMEOUT, maxFrameLength = MAX_FRAME_LENGTH } = this.#options
    this.#become('connecting', last)
    this.counters.attempts++
    this.#openedAt = undefined
    this.#toReplay = 0
    const attempt: Attempt = new Attempt({
      clock: this.#clock,
      silenceTimeout,
      maxFrameLength,
      send: (signal) => this.#requests.open(this.#position?.id, this.#topics, signal),
      onFrame: (frame) => this.#onFrame(attempt, frame),
      onBytes: (count) => {
        this.counters.bytes += count
      },
      onPause: () => {
        if (attempt.result === undefined) this.#opened()
        this.#kept.save(this.#position)
      }
    })
    this.#attempt = attempt
    // A handler of the state may have closed the stream.
    if (this.#isClosed) attempt.end({ reason: 'stopped' })
    const end = await attempt.run()
    this.#attempt = undefined
    this.#stopRenewing?.()
    this.#kept.save(this.#position)
    return this.#withNewCredentials(end)
  }

  /** A refusal of credentials leads to new ones once, and is final then. */
  #withNewCredentials(end: StreamEnd): StreamEnd {
    const { canRenew } = this.#requests
    if (end.reason === 'expired') this.#requests.renew('expiring')
    if (end.error?.status !== 401) return end
    if (!canRenew || this.#isRefused) return { ...end, reason: 'unauthorized' }
    this.#isRefused = true
    this.#requests.renew('refused')
    return { ...end, isFinal: false, isImmediate: true }
  }

  async #wait(end: StreamEnd): Promise<void> {
    const openFor = this.#openedAt === undefined ? 0 : this.#clock.monotonic() - this.#openedAt
    const wait = this.#backOff.next(openFor, end.retryAfter)
    await new Promise<void>((resolve) => {
      const stop = this.#clock.after(wait, resolve)
      this.#skipWait = () => {
        stop()
        resolve()
      }
      this.#become('waiting', end, this.#clock.now() + wait)
    })
    this.#skipWait = undefined
  }

  #finish(end: StreamEnd): void {
    if (this.#isClosed) return
    this.#release()
    this.#become('closed', end)
    this.#attempt?.end(end)
    this.#skipWait?.()
    this.#listeners.emit('close', this.state)
    this.#listeners.end(end.error)
  }

  #become(name: StreamState['name'], end?: StreamEnd, nextAttempt?: number): void {
    if (this.#isClosed) return
    this.state = { name, reason: end?.reason, error: end?.error, nextAttempt }
    this.#listeners.emit('state', this.state)
  }

  #fail(error: StreamError): void {
    this.#listeners.emit('error', error)
  }

  #opened(): void {
    if (this.#openedAt !== undefined) return
    this.#openedAt = this.#clock.monotonic()
    this.counters.opened++
    this.#isRefused = false
    this.#become('open')
  }

  #onFrame(attempt: Attempt, frame: Frame): Promise<unknown> | undefined {
    this.#options.debug?.(frame)
    if (frame.retry !== undefined) this.#backOff.retry = frame.retry
    if (frame.event === 'hub.welcome' && !this.#welcomed(attempt, frame)) return undefined
    if (frame.event === 'hub.close') return this.#closed(attempt, frame)
    if (frame.data !== undefined) this.#opened()
    const handling = frame.data === undefined ? undefined : this.#dispatch(frame)
    if (handling === undefined) this.#advance(frame)
    return handling?.then(() => this.#advance(frame))
  }

  #dispatch(frame: Frame): Promise<unknown> | undefined {
    const isOfLog = frame.id !== undefined && !OUTSIDE_HISTORY.has(frame.event)
    const isReplayed = isOfLog && this.#toReplay > 0
    if (isReplayed) {
      this.#toReplay--
      this.counters.replayed++
    }
    if (isOfLog || !frame.event.startsWith('hub.')) this.counters.events++
    const event = new HubEvent(frame, isReplayed, this.#options.parse ?? jsonOrText)
    const handling = this.#listeners.dispatch(event)
    if (frame.event !== 'hub.gap') return handling
    this.counters.gaps++
    this.#listeners.emit('gap', jsonOrText(event.text) as Gap)
    return handling
  }

  #advance({ id }: Frame): void {
    // An empty id clears the position, as the standard says.
    if (id !== undefined) this.#position = { id: id || undefined, user: this.#position?.user }
  }

  /** Returns false if the stream begins anew, because its position is that of another user. */
  #welcomed(attempt: Attempt, { data = '' }: Frame): boolean {
    const welcome = jsonOrText(data) as Welcome
    const { user, heartbeatInterval, replayed, expiresIn } = welcome
    if (this.#position?.id !== undefined && this.#position.user !== undefined && this.#position.user !== user) {
      this.#position = undefined
      attempt.end({ reason: 'renewed', isImmediate: true })
      return false
    }
    this.welcome = welcome
    this.#position = { id: this.#position?.id, user }
    this.#toReplay = replayed
    if (typeof heartbeatInterval === 'number') attempt.watchdog.interval = heartbeatInterval
    if (typeof expiresIn === 'number') this.#renewIn(attempt, expiresIn)
    return true
  }

  #closed(attempt: Attempt, frame: Frame): Promise<unknown> | undefined {
    const { reason, reconnect } = jsonOrText(frame.data ?? '') as { reason: EndReason; reconnect: boolean }
    const handling = this.#dispatch(frame)
    // The id of a stream that has ended for good is no position.
    if (reconnect !== false) this.#advance(frame)
    attempt.end({ reason, isFinal: reconnect === false })
    return handling
  }

  /** Requests credentials before those of the stream expire, and opens the stream with them. */
  #renewIn(attempt: Attempt, expiresIn: number): void {
    if (!this.#requests.canRenew) return
    const wait = Math.max(RENEW_AFTER, expiresIn - Math.min(RENEW_BEFORE, expiresIn / 5))
    this.#stopRenewing = this.#clock.after(wait, () => {
      this.#requests.renew('expiring')
      this.#requests.prepare().then(
        () => attempt.end({ reason: 'renewed', isImmediate: true }),
        (error: StreamError) => this.#fail(error)
      )
    })
  }

  #wake(hasConnectionChanged: boolean): void {
    const { name, reason } = this.state
    if (hasConnectionChanged && name !== 'waiting') this.reconnectNow()
    else if (reason === 'network' || reason === 'silent') this.#skipWait?.()
    this.#attempt?.watchdog.check()
  }
}
