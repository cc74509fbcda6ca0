import { credential, keyDialogIsOpen } from '../state/credentials.ts'
import { API_BASE, ApiError } from './api.ts'
import { type Slot, takeSlot } from './connection-slots.ts'
import { type EventRow, store, type Tone } from './event-store.ts'
import { redrawSoon } from './frame-clock.ts'
import { pollSoon } from './health.ts'
import { noteArrival } from './sending.ts'
import { type Frame, openSource, type Source, type SourceState } from './source.ts'
import type { Welcome } from './types.ts'

/** Where a new stream begins. `follow`: one topic, from its oldest event to its final one. */
export type Begin =
  | { readonly kind: 'follow' }
  | { readonly kind: 'now' }
  | { readonly kind: 'oldest' }
  | { readonly kind: 'last'; readonly count: number }

export interface StreamWish {
  readonly user: string
  readonly topics: readonly string[]
  readonly begin: Begin
}

/** `queued`: the streams of all tabs use the connections of the browser. */
export type StreamState = 'queued' | 'connecting' | 'open' | 'stale' | 'reconnecting' | 'closed' | 'refused' | 'stopped'

/** Intervals without a heartbeat after which the stream counts as stale. */
const PATIENCE = 2.5

/** One stream of the console: its source, its state and its counts. Its events go to the log that all streams share. */
export class HubStream {
  readonly key: number
  readonly wish: StreamWish
  state: StreamState = 'connecting'
  reason = ''
  refusal: { readonly code: string; readonly message: string } | undefined
  welcome: Welcome | undefined
  lastEventId = ''
  lastSeen = 0
  /** How often the stream was opened again. */
  returns = 0
  readonly counts = { received: 0, replayed: 0, gaps: 0 }
  readonly arrivals = new Set<(row: EventRow, isReplayed: boolean) => void>()
  readonly changes = new Set<() => void>()
  #source: Source | undefined
  #slot: Slot | undefined
  #life = new AbortController()
  #replaying = 0
  #closing: { readonly reason: string; readonly reconnect: boolean } | undefined

  constructor(key: number, wish: StreamWish) {
    this.key = key
    this.wish = wish
  }

  /** A host may know its user by a cookie, and not by the name that was wished for. */
  get user(): string {
    return this.welcome?.user ?? this.wish.user
  }

  get isOver(): boolean {
    return this.state === 'closed' || this.state === 'refused' || this.state === 'stopped'
  }

  get canBeCut(): boolean {
    return this.state === 'open' && this.welcome?.stream !== undefined
  }

  /** Whether the stream is silent for longer than its heartbeats allow. */
  get isStale(): boolean {
    const interval = this.welcome?.heartbeatInterval ?? 0
    return this.state === 'open' && interval > 0 && Date.now() - this.lastSeen > PATIENCE * interval
  }

  /** Opens the stream, from the id where it was, unless it came to its end. `position` replaces that id. */
  async start(
    position = this.reason === 'finished' || this.reason === 'failed' ? '' : this.lastEventId
  ): Promise<void> {
    this.#release()
    const life = this.#life
    this.#become('connecting')
    try {
      this.#slot = await takeSlot(life.signal, () => this.#become('queued'))
    } catch {
      return // The stream was stopped meanwhile.
    }
    if (life.signal.aborted) return this.#slot.release()
    this.#become('connecting')
    this.#source = openSource({
      url: this.#url(),
      wish: this.wish,
      lastEventId: position,
      onFrame: (frame) => this.#life === life && this.#received(frame),
      onState: (state) => this.#life === life && this.#changed(state)
    })
  }

  /** Closes the stream for the reader. The hub only notices the closed connection. */
  stop(): void {
    if (this.isOver) return
    this.#end('stopped', '')
    this.#note('note.stopped', 'end')
  }

  /** Returns with a position that no hub has written, as after an absence longer than history. */
  comeBackLost(): void {
    this.#note('note.lostPosition', 'wait')
    // A position is a number and a witness: that of another entry proves that this history is not the same.
    const [number = '1', witness = ''] = this.lastEventId.split('.')
    void this.start(`${number}.${witness.slice(0, 8).padEnd(8, '0')}000000`)
  }

  #url(): URL {
    const { user, topics, begin } = this.wish
    const url = new URL('events', API_BASE)
    url.searchParams.set('user', user)
    if (begin.kind === 'follow') {
      url.searchParams.set('follow', topics[0] ?? '')
      return url
    }
    if (topics.length > 0) url.searchParams.set('topics', topics.join(','))
    // A stream that resumes is replayed from where it was.
    if (this.lastEventId === '' && begin.kind === 'oldest') url.searchParams.set('from', 'oldest')
    if (this.lastEventId === '' && begin.kind === 'last') url.searchParams.set('last', String(begin.count))
    return url
  }

  #received(frame: Frame): void {
    this.lastSeen = Date.now()
    const previousId = this.lastEventId
    if (frame.id && frame.name !== 'hub.close') this.lastEventId = frame.id
    if (frame.name.startsWith('hub.')) this.#hubEvent(frame)
    else this.#event(frame, previousId)
  }

  #event(frame: Frame, previousId: string): void {
    const isReplayed = this.#replaying > 0
    if (isReplayed) this.#replaying--
    this.counts.received++
    if (isReplayed) this.counts.replayed++
    const row = store.addEvent(this.key, isReplayed ? 'replayed' : 'live', this.counts.gaps > 0, {
      ...frame,
      previousId
    })
    if (row.marks.size === 1 && !isReplayed) noteArrival(frame.id)
    for (const listener of this.arrivals) listener(row, isReplayed)
  }

  #hubEvent(frame: Frame): void {
    const data = objectOf(frame.data)
    switch (frame.name) {
      case 'hub.welcome':
        this.#welcomed(data as Welcome, frame.raw)
        break
      case 'hub.gap':
        this.counts.gaps++
        this.#note('note.gap', 'bad', data, frame.raw, true)
        break
      case 'hub.close':
        this.#closing = { reason: String(data.reason ?? ''), reconnect: data.reconnect !== false }
        if (this.#closing.reconnect) this.#note('note.cut', 'wait', data, frame.raw)
        break
      case 'hub.heartbeat':
        redrawSoon()
        break
      default:
        this.#note('note.hubEvent', 'end', { name: frame.name, data: frame.data }, frame.raw)
    }
    this.#tell()
  }

  #welcomed(welcome: Welcome, raw: string): void {
    const isReturn = this.welcome !== undefined
    if (isReturn) this.returns++
    this.welcome = welcome
    this.#closing = undefined
    this.#replaying = welcome.replayed ?? 0
    this.reason = ''
    this.refusal = undefined
    this.#note(isReturn ? 'note.returned' : 'note.opened', 'good', { replayed: this.#replaying }, raw)
    this.#become('open')
  }

  #changed({ state, reason, problem }: SourceState): void {
    if (state === 'open') this.#become('open')
    else if (state === 'connecting') this.#become(this.welcome ? 'reconnecting' : 'connecting')
    else if (state === 'waiting') {
      if (this.state === 'open' && !this.#closing) this.#note('note.lost', 'wait')
      this.refusal = problem
      this.#become('reconnecting')
    } else if (reason !== 'stopped') this.#over(reason, problem)
  }

  #over(reason = 'gone', problem: SourceState['problem']): void {
    const isEnd = this.#closing?.reconnect === false || reason === 'gone'
    if (isEnd) {
      const why = this.#closing?.reason || reason
      this.#end('closed', why)
      this.#note('note.closed', 'end', { reason: why })
      return
    }
    const { code, message, status } = problem ?? { code: reason, message: '', status: undefined }
    this.refusal = { code, message }
    // Without a credential the reader is asked for one; with one, the message says that it does not suffice.
    if (status === 401 && credential.value === '') keyDialogIsOpen.value = true
    this.#end('refused', 'refused')
    this.#note('note.refused', 'bad', { code, message })
  }

  #end(state: StreamState, reason: string): void {
    this.#release()
    this.reason = reason
    this.#become(state)
  }

  #release(): void {
    this.#life.abort(new ApiError('STOPPED', '', 0))
    this.#life = new AbortController()
    this.#source?.close()
    this.#source = undefined
    this.#slot?.release()
    this.#slot = undefined
    this.#replaying = 0
  }

  #become(state: StreamState): void {
    this.state = state
    if (state === 'open') this.lastSeen = Date.now()
    if (state === 'open' || this.isOver) pollSoon()
    this.#tell()
  }

  #note(text: string, tone: Tone, params: Record<string, unknown> = {}, raw = '', isGap = false): void {
    store.addNote({ stream: this.key, text, params, tone, isGap, raw })
  }

  #tell(): void {
    for (const listener of this.changes) listener()
    redrawSoon()
  }
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
