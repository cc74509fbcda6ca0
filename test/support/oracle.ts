/**
 * A second opinion on what a hub has delivered, from two logs alone: the receipts of publishers, and the records of
 * clients. It knows nothing of the hub, of retention, or of time; `at` is any number that rises, the same for both
 * logs.
 */

/** A publisher's record of an event. */
export interface PublishedLog {
  /** The id of its receipt; null if it was transient. */
  readonly id: string | null
  /** Its channels, in any notation that `listensTo` of the clients uses too. */
  readonly channels: readonly string[]
  readonly data: string
  /** Users whose clients do not get it. */
  readonly except?: readonly string[] | undefined
  readonly at: number
  /** Whether it may be missing without a gap: it had a TTL, or a newer event may have collapsed it. */
  readonly mayExpire?: boolean
}

export interface ClientRecord {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
  readonly at: number
}

/** A client's records of one connection. */
export interface ConnectionLog {
  readonly listensTo: readonly string[]
  /** The user, where events may except users. */
  readonly user?: string
  /** The id that the client sent, or the hub's head if it sent no id; undefined if it requested history. */
  readonly startsAfter: string | undefined
  readonly openedAt: number
  readonly records: ClientRecord[]
  /** Whether it was open and settled when the log was closed. */
  isComplete: boolean
}

export interface Verdict {
  deliveries: number
  /** Events for the client that neither arrived nor were reported by a gap, before another event that arrived. */
  lost: number
  doubled: number
  outOfOrder: number
  /** Gaps with nothing missing after them. */
  falseGaps: number
  /** Events for other users. */
  foreign: number
  /** Events that nobody published, or not like this. */
  altered: number
  /** Descriptions of the first few faults. */
  readonly complaints: string[]
}

interface Position {
  readonly epoch: string
  readonly seq: number
}

export function judge(published: readonly PublishedLog[], connections: readonly ConnectionLog[]): Verdict {
  const verdict: Verdict = {
    deliveries: 0,
    lost: 0,
    doubled: 0,
    outOfOrder: 0,
    falseGaps: 0,
    foreign: 0,
    altered: 0,
    complaints: []
  }
  const book = new Book(published)
  for (const connection of connections) judgeConnection(book, connection, verdict)
  return verdict
}

/** The published events: by id, by data, and by epoch in the order of the sequence. */
class Book {
  readonly byId = new Map<string, PublishedLog>()
  readonly byData = new Map<string, PublishedLog>()
  readonly #epochs = new Map<string, { readonly seq: number; readonly event: PublishedLog }[]>()

  constructor(published: readonly PublishedLog[]) {
    for (const event of published) {
      this.byData.set(event.data, event)
      if (event.id === null) continue
      this.byId.set(event.id, event)
      const { epoch, seq } = positionOf(event.id)
      const events = this.#epochs.get(epoch) ?? []
      this.#epochs.set(epoch, events)
      events.push({ seq, event })
    }
    for (const events of this.#epochs.values()) events.sort((a, b) => a.seq - b.seq)
  }

  /** The events of an epoch after a position, up to a number. */
  after({ epoch, seq }: Position, upTo = Number.POSITIVE_INFINITY): PublishedLog[] {
    const events = this.#epochs.get(epoch) ?? []
    let low = 0
    for (let high = events.length; low < high; ) {
      const middle = (low + high) >>> 1
      if ((events[middle] as { seq: number }).seq > seq) high = middle
      else low = middle + 1
    }
    const found: PublishedLog[] = []
    for (let at = low; at < events.length && (events[at] as { seq: number }).seq <= upTo; at++) {
      found.push((events[at] as { event: PublishedLog }).event)
    }
    return found
  }
}

function judgeConnection(book: Book, connection: ConnectionLog, verdict: Verdict): void {
  const { listensTo, user, startsAfter, openedAt, records, isComplete } = connection
  const isAddressed = ({ channels, except }: PublishedLog) =>
    channels.some((channel) => listensTo.includes(channel)) && (user === undefined || except?.includes(user) !== true)
  // A log counts evictions by channel. An event in several channels of a client may still be retained in one.
  const isInSeveralChannels = (event: PublishedLog) =>
    event.channels.filter((channel) => listensTo.includes(channel)).length > 1
  const received = new Set<string>()
  const all = new Set(records.filter(isPublished).map(({ id }) => id))
  /** When the last gap was reported: it does not excuse later events. */
  let gapAt = Number.NEGATIVE_INFINITY
  // A client that requests history requests the events that are retained when it receives the first one.
  if (startsAfter === undefined) gapAt = records.find(({ id }) => id !== undefined)?.at ?? openedAt
  let position = startsAfter === undefined ? undefined : knownPosition(startsAfter)
  const complain = (kind: 'lost' | 'doubled' | 'outOfOrder' | 'falseGaps' | 'foreign' | 'altered', text: string) => {
    verdict[kind]++
    if (verdict.complaints.length < 20) verdict.complaints.push(`${kind}: ${text}`)
  }
  const missing = (from: Position, upTo?: number) => {
    for (const event of book.after(from, upTo)) {
      const { id, mayExpire = false, at } = event
      if (!isAddressed(event) || mayExpire || received.has(id as string) || at <= gapAt) continue
      complain('lost', `${event.data} (${id}) after ${from.epoch}/${from.seq}`)
    }
  }
  for (const record of records) {
    const { event, data, id, at } = record
    if (event === 'hub.gap') {
      const { reason } = JSON.parse(data)
      const isMissing = (entry: PublishedLog) => isAddressed(entry) && entry.at <= at && !all.has(entry.id as string)
      const isTrue = position && book.after(position).some((entry) => isMissing(entry) || isInSeveralChannels(entry))
      if (reason === 'evicted' && position !== undefined && !isTrue)
        complain('falseGaps', `at ${position.epoch}/${position.seq}`)
      if (reason !== 'evicted') position = undefined
      gapAt = at
    }
    if (isPublished(record)) {
      verdict.deliveries++
      const entry = id === undefined ? book.byData.get(data) : book.byId.get(id)
      if (entry === undefined || entry.data !== data) complain('altered', `${data} (${id})`)
      else if (!isAddressed(entry)) complain('foreign', `${data} (${id})`)
    }
    const next = id === undefined ? undefined : knownPosition(id)
    if (next === undefined) continue
    if (isPublished(record)) {
      if (received.has(id as string)) complain('doubled', `${data} (${id})`)
      else if (position?.epoch === next.epoch && next.seq <= position.seq) complain('outOfOrder', `${data} (${id})`)
      received.add(id as string)
    }
    if (position !== undefined && position.epoch !== next.epoch)
      complain('lost', `all of ${position.epoch} without a gap`)
    else if (position !== undefined && next.seq > position.seq) missing(position, next.seq)
    position = next
  }
  if (isComplete && position !== undefined) missing(position)
}

/** Whether a publisher sent it, and not the hub itself. */
function isPublished({ event }: ClientRecord): boolean {
  return !event.startsWith('hub.')
}

function knownPosition(id: string): Position | undefined {
  return /^[0-9a-z]+\.[0-9a-z]{14}(\.end)?$/.test(id) ? positionOf(id) : undefined
}

function positionOf(id: string): Position {
  const [number = '', witness = ''] = id.split('.')
  return { epoch: witness.slice(0, 8), seq: Number.parseInt(number, 36) }
}
