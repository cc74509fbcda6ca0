import { ticket, whyRefused } from './api.js'
import { eventNames, onNewNames } from './event-names.js'
import { worded } from './i18n.js'
import { askForKey, hasKey } from './key.js'

/** Intervals without a heartbeat after which the stream counts as stale. */
const PATIENCE = 2.5
/** Milliseconds after the last replayed event; events still missing then had names without a listener. */
const REPLAY_PAUSE = 1500
/** Wait before the first reconnection that the page makes itself. It doubles up to the longest, with jitter. */
const FIRST_WAIT = 1000
const LONGEST_WAIT = 30_000
/** Client error statuses that may be retried: timeout, too early, too many requests. */
const PASSING = new Set([408, 425, 429])

/**
 * One native EventSource of the hub and its state, without drawing.
 * Fires `change` when the state or a count changes, `entry` (detail: the entry) for each line of its log,
 * `welcome` on every connection and `beat` on every heartbeat.
 */
export class HubStream extends EventTarget {
  state = 'connecting' // connecting · open · reconnecting · closed
  reason // a close reason of the hub, 'stopped', 'refused' or 'gone'
  welcome
  lastEventId
  lastSeen
  lastBeat
  counts = { received: 0, replayed: 0, gaps: 0 }
  #source
  #newestId // including that of `hub.close`, as the browser would send it
  #path
  #wish
  #owed = 0
  #replayOver
  #forgetNames
  #return
  #returns = 0
  #isRenewed = false // whether the ticket replaces a refused one

  /** @param wish the user and topics of a ticket, for a locked hub */
  constructor(path, wish = {}) {
    super()
    this.#path = path
    this.#wish = wish
  }

  /** Opens the source. A stream that is opened again requests the events that it missed, unless it came to its end. */
  start() {
    clearTimeout(this.#return)
    const url = new URL(this.#path, document.baseURI)
    const hasEnded = this.reason === 'finished' || this.reason === 'failed'
    if (!hasEnded && this.lastEventId) url.searchParams.set('lastEventId', this.lastEventId)
    this.#become('connecting')
    if (hasKey()) void this.#showTicket(url)
    else this.#open(url)
  }

  async #showTicket(url) {
    try {
      url.searchParams.set('ticket', await ticket(this.#wish))
    } catch (error) {
      if (this.state !== 'connecting') return
      if (isPassing(error.status)) this.#startLater()
      else this.#refused(error)
      return
    }
    // The stream may have been stopped meanwhile.
    if (this.state === 'connecting') this.#open(url)
  }

  #open(url) {
    const source = new EventSource(url)
    this.#source = source

    source.addEventListener('open', (event) => (event instanceof MessageEvent ? this.#event(event) : this.#opened()))
    // A publisher may name an event "error"; then it is a MessageEvent and not a failure.
    source.addEventListener('error', (event) => (event instanceof MessageEvent ? this.#event(event) : this.#lost(url)))
    source.addEventListener('hub.welcome', (event) => this.#welcomed(event))
    source.addEventListener('hub.heartbeat', (event) => this.#heartbeat(event))
    source.addEventListener('hub.gap', (event) => this.#gap(event))
    source.addEventListener('hub.close', (event) => this.#closing(event))

    const heard = new Set(['open', 'error'])
    const hear = (names) => {
      for (const name of names) {
        if (heard.has(name)) continue
        heard.add(name)
        source.addEventListener(name, (event) => this.#event(event))
      }
    }
    hear(eventNames())
    this.#forgetNames = onNewNames(hear)
  }

  /** Closes the stream for the reader. The server only notices the closed connection. */
  stop() {
    if (this.state === 'closed') return
    this.#end('stopped')
    this.#note('note.stopped', 'end')
  }

  get stale() {
    const interval = this.welcome?.heartbeatInterval
    return this.state === 'open' && interval > 0 && Date.now() - this.lastSeen > PATIENCE * interval
  }

  #opened() {
    this.lastSeen = Date.now()
    this.#become('open')
  }

  #welcomed(event) {
    this.#seen(event)
    const again = this.welcome !== undefined
    this.reason = undefined
    this.#returns = 0
    this.#isRenewed = false
    this.welcome = parsed(event.data) ?? {}
    this.#owed = this.welcome.replayed ?? 0
    this.#note(again ? 'note.again' : 'note.opened', 'good', { replayed: this.#owed })
    this.#become('open')
    this.#watchReplay()
    this.dispatchEvent(new Event('welcome'))
  }

  #heartbeat(event) {
    this.#seen(event)
    this.lastBeat = this.lastSeen
    this.dispatchEvent(new Event('beat'))
  }

  #event(event) {
    this.#seen(event)
    const replayed = this.#owed > 0
    this.counts.received++
    if (replayed) {
      this.counts.replayed++
      this.#owed--
      this.#watchReplay()
    }
    this.#entry({ kind: 'event', name: event.type, id: event.lastEventId, data: event.data, replayed })
  }

  #gap(event) {
    this.#seen(event)
    this.counts.gaps++
    this.#entry({ kind: 'gap', ...parsed(event.data) })
  }

  #closing(event) {
    // The id is no position to start from: it belongs to the stream that ends here.
    this.lastSeen = Date.now()
    this.#newestId = event.lastEventId
    const { reason, reconnect } = parsed(event.data) ?? {}
    if (reconnect === false) {
      this.#end(reason)
      this.#note(reason === 'finished' ? 'note.finished' : 'note.closed', 'end', { reason })
    } else {
      // A busy hub may repeat the reason at each attempt; one line in the log is enough.
      if (this.reason !== reason) this.#note('note.cut', 'wait', { reason })
      this.reason = reason
      if (reason === 'expired' && hasKey()) this.#renew()
    }
  }

  /** Opens a new source, because the old ticket would be refused at the reconnection. */
  #renew() {
    this.#source.close()
    this.#forgetNames()
    this.#endReplay()
    this.start()
  }

  #lost(url) {
    if (this.state !== 'reconnecting' && !this.reason) this.#note('note.lost', 'wait')
    this.#endReplay()
    this.#become('reconnecting')
    // The browser reconnects by itself, unless the answer was not a stream.
    if (this.#source.readyState === EventSource.CLOSED) void this.#explain(url)
  }

  /** Only a final answer ends the stream. That of a proxy without a hub, or for a ticket lost in a restart, is not final. */
  async #explain(url) {
    if (this.#newestId) url.searchParams.set('lastEventId', this.#newestId)
    const source = this.#source
    const answer = await whyRefused(url)
    // The stream may have been stopped meanwhile.
    if (this.#source !== source || this.state !== 'reconnecting') return
    if (answer.status === 401 && hasKey() && !this.#isRenewed) {
      this.#isRenewed = true
      this.#renew()
    } else if (isPassing(answer.status)) {
      this.#startLater()
    } else if (answer.status === 204) {
      this.#end('gone')
      this.#note('note.gone', 'end')
    } else {
      this.#refused(answer)
    }
  }

  #refused({ status, code, message }) {
    if (status === 401) askForKey()
    this.#end('refused')
    this.#note('note.refused', 'bad', { code, message: message && worded(message) })
  }

  #startLater() {
    this.#forgetNames?.()
    this.#become('reconnecting')
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#returns++)
    this.#return = setTimeout(() => this.start(), wait * (0.5 + Math.random()))
  }

  #end(reason) {
    clearTimeout(this.#return)
    this.#source?.close()
    this.#forgetNames?.()
    this.#endReplay()
    this.reason = reason
    this.#become('closed')
  }

  #watchReplay() {
    clearTimeout(this.#replayOver)
    if (this.#owed > 0) this.#replayOver = setTimeout(() => this.#endReplay(), REPLAY_PAUSE)
  }

  /** Ends the replay, so that a live event does not count as a replayed one that had no listener. */
  #endReplay() {
    clearTimeout(this.#replayOver)
    if (this.#owed > 0 && this.state === 'open') this.#note('note.unheard', 'wait', { n: this.#owed })
    this.#owed = 0
  }

  #seen(event) {
    this.lastSeen = Date.now()
    if (event.lastEventId) this.lastEventId = this.#newestId = event.lastEventId
  }

  #become(state) {
    this.state = state
    this.#changed()
  }

  #note(key, tone, params = {}) {
    this.#entry({ kind: 'note', key, tone, params })
  }

  #entry(entry) {
    this.dispatchEvent(new CustomEvent('entry', { detail: { ...entry, time: new Date() } }))
    this.#changed()
  }

  #changed() {
    this.dispatchEvent(new Event('change'))
  }
}

/** Whether the same request may succeed later; 0 means that there was no answer. */
function isPassing(status) {
  return !status || status === 200 || status >= 500 || PASSING.has(status)
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
