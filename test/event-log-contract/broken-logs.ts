import type { ReadQuery, Receipt } from '../../services/event-log/event-log.ts'
import type { Channel } from '../../services/events/channel.ts'
import { formatCursor, newEpoch, newWitness, sameEpoch } from '../../services/events/cursor.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'
import { NaiveLog, NaiveStore, NaiveTail, nameOf } from '../event-log/naive-log.ts'

/** A log with one fault, and the test of the contract that has to catch it. */
export interface BrokenLog {
  readonly fault: string
  readonly caughtBy: string
  readonly spoil: (log: NaiveLog) => void
  /** It shows only in what does not come, however long one waits. Every other fault shows by itself. */
  readonly showsBy?: 'waiting'
}

/** What the faults have left running. */
const leftovers: NodeJS.Timeout[] = []

export function clearLeftovers(): void {
  for (const timer of leftovers.splice(0)) clearInterval(timer)
}

const Store = NaiveStore.prototype
const Log = NaiveLog.prototype
const Tail = NaiveTail.prototype

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Wraps what one node hands to its tails. */
function handing(log: NaiveLog, change: (events: LogEvent[], tail: NaiveTail) => LogEvent[]): void {
  log.begin = (listener) => {
    const tail: NaiveTail = Log.begin.call(log, {
      onEvents(events) {
        const changed = change([...events], tail)
        if (changed.length > 0) listener.onEvents(changed)
      },
      onDiscontinuity: (position) => listener.onDiscontinuity(position)
    })
    return tail
  }
}

/** Changes what a reader asks. */
function asking({ store }: NaiveLog, change: (query: ReadQuery) => ReadQuery): void {
  store.read = (query) => Store.read.call(store, change(query))
}

/** Changes what a draft is before it is taken. */
function renamed(draft: NewEvent, rename: (key: string) => string): NewEvent {
  const { idempotency } = draft
  return { ...draft, idempotency: idempotency && { ...idempotency, key: rename(idempotency.key) } }
}

function taking({ store }: NaiveLog, change: (draft: NewEvent) => NewEvent): void {
  store.accept = (draft) => Store.accept.call(store, change(draft))
}

/** Changes an event as it is made. */
function making({ store }: NaiveLog, change: (event: LogEvent) => LogEvent): void {
  store.make = (draft) => change(Store.make.call(store, draft))
}

const APPENDING: BrokenLog[] = [
  {
    fault: 'leaves out a number before each batch',
    caughtBy: 'numbers the events of all channels in one sequence that begins with 1',
    spoil({ store }) {
      store.append = (drafts) => {
        store.accept({ channels: ['u:nobody'], event: '', data: '', transient: false, final: false, streams: 0 })
        return Store.append.call(store, drafts)
      }
    }
  },
  {
    fault: 'appends the events of a batch one by one',
    caughtBy: 'gives the events of a batch numbers with nothing between, whoever else appends meanwhile',
    spoil(log) {
      log.append = async (drafts) => {
        const receipts: Receipt[] = []
        for (const draft of drafts) receipts.push(...(await Log.append.call(log, [draft])))
        return receipts
      }
    }
  },
  {
    fault: 'lets a later call overtake an earlier one',
    caughtBy: 'keeps the order of calls that did not wait for each other',
    spoil(log) {
      let calls = 0
      log.append = async (drafts) => {
        if (calls++ % 2 === 0) for (let turns = 0; turns < 5; turns++) await turn()
        return Log.append.call(log, drafts)
      }
    }
  },
  {
    fault: 'shows half of a batch before the other half',
    caughtBy: 'shows a reader the whole of a batch or nothing of it',
    spoil(log) {
      log.append = async (drafts) => {
        const first = await Log.append.call(log, drafts.slice(0, 2))
        return [...first, ...(await Log.append.call(log, drafts.slice(2)))]
      }
    }
  },
  {
    fault: 'answers before readers are shown the event',
    caughtBy: 'shows what was appended once the append is fulfilled',
    spoil(log) {
      const { store } = log
      let hidden = 0
      store.append = (drafts) => {
        hidden++
        setTimeout(() => hidden--, 5)
        return Store.append.call(store, drafts)
      }
      store.read = (query) => {
        const page = Store.read.call(store, query)
        return hidden > 0 ? { ...page, events: page.events.slice(0, -1) } : page
      }
    }
  },
  {
    fault: 'gives receipts the other way round',
    caughtBy: 'gives a receipt for each event of a batch, in its order',
    spoil({ store }) {
      store.append = (drafts) => Store.append.call(store, drafts).reverse()
    }
  },
  {
    fault: 'does not take an empty batch',
    caughtBy: 'takes an empty batch, which changes nothing',
    spoil({ store }) {
      store.append = (drafts) =>
        drafts.length === 0 ? [store.accept(drafts[0] as NewEvent)] : Store.append.call(store, drafts)
    }
  },
  {
    fault: 'cuts a batch that is long',
    caughtBy: 'takes a thousand events in one batch',
    spoil({ store }) {
      store.append = (drafts) => Store.append.call(store, drafts.slice(0, 999))
    }
  },
  {
    fault: 'gives ids with a colon',
    caughtBy: 'gives ids that are cursors as text: at most 32 of [0-9a-z.], each another',
    spoil(log) {
      making(log, (event) => ({ ...event, id: event.id?.replace('.', ':') ?? null }))
    }
  },
  {
    fault: 'has one witness for all entries',
    caughtBy: 'gives ids that are cursors as text: at most 32 of [0-9a-z.], each another',
    spoil(log) {
      making(log, (event) => {
        const cursor = event.cursor && { ...event.cursor, witness: `${log.store.epoch}000000` }
        return { ...event, cursor, id: cursor && formatCursor(cursor) }
      })
    }
  },
  {
    fault: 'has the same life as every other',
    caughtBy: 'gives the first event of each log another id, for each log has a life of its own',
    spoil(log) {
      making(log, (event) => {
        const cursor = event.cursor && { ...event.cursor, witness: String(event.cursor.seq).padStart(14, '0') }
        return { ...event, cursor, id: cursor && formatCursor(cursor) }
      })
    }
  },
  {
    fault: 'trims texts',
    caughtBy: 'hands out texts and names as they were appended, whatever is in them',
    spoil(log) {
      making(log, (event) => ({ ...event, data: event.data.trim() }))
    }
  },
  {
    fault: 'forgets that an event is final',
    caughtBy: 'hands out texts and names as they were appended, whatever is in them',
    spoil(log) {
      making(log, (event) => ({ ...event, final: false }))
    }
  },
  {
    fault: 'cuts texts that are long',
    caughtBy: 'takes an event of a mebibyte',
    spoil(log) {
      making(log, (event) => ({ ...event, data: event.data.slice(0, 500_000) }))
    }
  },
  {
    fault: 'files an event under a hundred channels at most',
    caughtBy: 'files an event under as many channels as it has',
    spoil(log) {
      taking(log, (draft) => ({ ...draft, channels: draft.channels.slice(0, 100) }))
    }
  },
  {
    fault: 'keeps transient events',
    caughtBy: 'neither numbers nor keeps a transient event',
    spoil(log) {
      taking(log, (draft) => ({ ...draft, transient: false }))
    }
  },
  {
    fault: 'does not know what its head is',
    caughtBy: 'tells of itself at once, without a promise',
    spoil({ store }) {
      store.stats = () => ({ ...Store.stats.call(store), head: 0 })
    }
  }
]

const REPEATING: BrokenLog[] = [
  {
    fault: 'gives a repeat the streams of its second call',
    caughtBy: 'gives the first receipt again for a key that it knows, and appends nothing',
    spoil({ store }) {
      store.known = (draft) => {
        const known = Store.known.call(store, draft)
        return known && { ...known, streams: draft.streams }
      }
    }
  },
  {
    fault: 'looks keys up before it appends any event of a batch',
    caughtBy: 'knows a key from earlier in the same batch',
    spoil({ store }) {
      store.append = (drafts) => {
        const known = drafts.map((draft) => store.known(draft))
        const receipts = drafts.map((draft, index) => known[index] ?? store.accept(draft))
        store.wake()
        return receipts
      }
    }
  },
  {
    fault: 'refuses a whole batch for one key that it knows',
    caughtBy: 'appends what is new of a batch that is repeated in part',
    spoil({ store }) {
      store.append = (drafts) => {
        const known = drafts.map((draft) => store.known(draft)).find((receipt) => receipt !== undefined)
        return known === undefined ? Store.append.call(store, drafts) : drafts.map(() => known)
      }
    }
  },
  {
    fault: 'looks keys up a turn before it appends',
    caughtBy: 'appends one event when many come with the same key at the same time',
    spoil(log) {
      const { store } = log
      log.append = async (drafts) => {
        const known = await log.queue(() => drafts.map((draft) => Store.known.call(store, draft)))
        store.known = () => undefined
        const receipts = await Log.append.call(log, drafts)
        return receipts.map((receipt, index) => known[index] ?? receipt)
      }
    }
  },
  {
    fault: 'does not remember the keys of transient events',
    caughtBy: 'hands a transient event over once for each key',
    spoil(log) {
      taking(log, (draft) => (draft.transient ? { ...draft, idempotency: undefined } : draft))
    }
  },
  {
    fault: 'takes keys for equal that differ in case',
    caughtBy: 'takes any text for a key, and mistakes none for another',
    spoil(log) {
      const lower = (draft: NewEvent) => renamed(draft, (key) => key.toLowerCase())
      log.store.append = (drafts) => Store.append.call(log.store, drafts.map(lower))
    }
  },
  {
    fault: 'believes any witness of an entry that it no longer holds',
    caughtBy: 'answers a wrong witness alike, whether the entry is held, evicted, or of another reader',
    spoil: ({ store }) => {
      store.recognise = (from) => {
        const seq = typeof from === 'object' && 'seq' in from ? from.seq : 0
        const isRetained = store.allHeld().some((entry) => entry.seq === seq)
        return seq > 0 && !isRetained ? { after: seq } : Store.recognise.call(store, from)
      }
    }
  },
  {
    fault: 'gives pages of any size',
    caughtBy: 'ends a page when it has about so much text, and reads on from there',
    spoil: ({ store }) => {
      store.page = (entries) => [...entries]
    }
  },
  {
    fault: 'has one scope for all keys',
    caughtBy: 'keeps the keys of one scope apart from those of another',
    spoil(log) {
      const mixed = (draft: NewEvent) => ({
        ...draft,
        idempotency: draft.idempotency && { ...draft.idempotency, scope: '', digest: '' }
      })
      log.store.append = (drafts) => Store.append.call(log.store, drafts.map(mixed))
    }
  },
  {
    fault: 'takes other content for a repeat',
    caughtBy: 'refuses a key that comes again with other content, and the whole batch that it is in',
    spoil: ({ store }) => {
      store.refuse = () => {}
    }
  },
  {
    fault: 'appends what is good of a batch that it refuses',
    caughtBy: 'refuses a key that comes again with other content, and the whole batch that it is in',
    spoil: ({ store }) => {
      store.append = (drafts) => drafts.flatMap((draft) => Store.append.call(store, [draft]))
    }
  },
  {
    fault: 'does not look for other content within a batch',
    caughtBy: 'refuses a batch that has one key with two contents',
    spoil: ({ store }) => {
      store.refuse = (drafts) => {
        for (const draft of drafts) Store.refuse.call(store, [draft])
      }
    }
  },
  {
    fault: 'forgets the key of a scope when another has many',
    caughtBy: 'forgets no key of a scope, however many keys another has',
    spoil: ({ store }) => {
      store.accept = (draft) => {
        if (store.state.known.size > 100_000) store.state.known.clear()
        return Store.accept.call(store, draft)
      }
    }
  },
  {
    fault: 'forgets the key of what is no longer held',
    caughtBy: 'knows a key when the event itself is no longer held',
    spoil({ store }) {
      store.known = (draft) => {
        const known = Store.known.call(store, draft)
        return store.allHeld().some(({ event }) => event.id === known?.id) ? known : undefined
      }
    }
  }
]

const READING: BrokenLog[] = [
  {
    fault: 'takes a topic for the user of the same name',
    caughtBy: 'gives a reader the events of his channels alone, the oldest first',
    spoil({ store }) {
      store.select = (channels) =>
        Store.select.call(
          store,
          channels.flatMap((of): Channel[] => [of, `t:${of.slice(2)}`])
        )
    }
  },
  {
    fault: 'gives one channel after the other',
    caughtBy: 'joins several channels in the order of the sequence, and gives an event of several of them once',
    spoil({ store }) {
      store.select = (channels) => [...new Set(channels.flatMap((channel) => store.retained(channel)))]
    }
  },
  {
    fault: 'gives an event once for each of its channels',
    caughtBy: 'joins several channels in the order of the sequence, and gives an event of several of them once',
    spoil({ store }) {
      store.select = (channels) => channels.flatMap((channel) => store.retained(channel)).sort((a, b) => a.seq - b.seq)
    }
  },
  {
    fault: 'says that it has evicted when it is empty',
    caughtBy: 'reads an empty log from anywhere: nothing, and on from its head',
    spoil({ store }) {
      store.evicted = (channels) => (store.state.entries.length === 0 ? 1 : Store.evicted.call(store, channels))
    }
  },
  {
    fault: 'does not know where it began',
    caughtBy: 'resumes from the head of an empty log',
    spoil({ store }) {
      store.recognise = (from) =>
        typeof from === 'object' && 'seq' in from && from.seq === 0
          ? { after: 0, gap: 'diverged' }
          : Store.recognise.call(store, from)
    }
  },
  {
    fault: 'begins with the newest event when it is told "head"',
    caughtBy: 'begins with what comes next when it is told "head"',
    spoil({ store }) {
      store.recognise = (from) =>
        from === 'head' ? { after: store.state.head.seq - 2 } : Store.recognise.call(store, from)
    }
  },
  {
    fault: 'knows a cursor only if it is of the channels that are read',
    caughtBy: 'resumes after any event that it has, be it of the reader or of another',
    spoil({ store }) {
      store.read = (query) => {
        const { from } = query
        const isMine =
          typeof from !== 'object' || 'last' in from || store.select(query.channels).some(({ seq }) => seq === from.seq)
        return Store.read.call(store, isMine ? query : { ...query, from: 'oldest' })
      }
    }
  },
  {
    fault: 'gives the newest so many of each channel',
    caughtBy: 'gives the newest so many of all channels together, and all if it has fewer',
    spoil({ store }) {
      store.read = (query) => {
        const { from } = query
        if (typeof from !== 'object' || !('last' in from)) return Store.read.call(store, query)
        const oldest = query.channels.map((channel) => store.retained(channel).slice(-from.last)[0]?.seq ?? 0)
        const all = store.select(query.channels).filter(({ seq }) => seq >= Math.min(...oldest))
        return Store.read.call(store, { ...query, from: { last: all.length } })
      }
    }
  },
  {
    fault: 'gives one event more than the limit',
    caughtBy: 'gives no more than the limit, says how many remain, and reads on from there',
    spoil(log) {
      asking(log, (query) => ({ ...query, limit: query.limit + 1 }))
    }
  },
  {
    fault: 'reads on from the head though something remains',
    caughtBy: 'meets every event once when read in pages, whatever their size',
    spoil({ store }) {
      store.read = (query) => ({ ...Store.read.call(store, query), next: store.state.head })
    }
  },
  {
    fault: 'says that nothing remains when the page is full',
    caughtBy: 'says that something remains until nothing does, also of events that are in several channels',
    spoil({ store }) {
      store.read = (query) => ({ ...Store.read.call(store, query), remaining: 0 })
    }
  },
  {
    fault: 'goes on from the head as it is after the page was read',
    caughtBy: 'meets every event once when read in pages while others append',
    spoil(log) {
      log.read = async (query) => {
        const page = await Log.read.call(log, query)
        await turn()
        return page.remaining === 0 ? { ...page, next: log.store.state.head } : page
      }
    }
  },
  {
    fault: 'tells all that what somebody lost',
    caughtBy: 'has nothing, and no gap, in a channel that was never used',
    spoil({ store }) {
      store.evicted = () =>
        Store.evicted.call(store, [...new Set(store.state.entries.flatMap(({ draft }) => draft.channels))])
    }
  },
  {
    fault: 'takes no channel for all',
    caughtBy: 'gives a reader of no channel nothing, and reads on from the head',
    spoil(log) {
      asking(log, (query) => ({ ...query, channels: query.channels.length === 0 ? ['u:alice'] : query.channels }))
    }
  },
  {
    fault: 'normalises names',
    caughtBy: 'takes any name for a channel, and mistakes none for another',
    spoil(log) {
      const normal = (channels: readonly Channel[]) => channels.map((channel) => channel.normalize() as Channel)
      taking(log, (draft) => ({ ...draft, channels: normal(draft.channels) }))
      asking(log, (query) => ({ ...query, channels: normal(query.channels) }))
    }
  },
  {
    fault: 'cuts names that are long',
    caughtBy: 'takes any name for a channel, and mistakes none for another',
    spoil(log) {
      const short = (channels: readonly Channel[]) => channels.map((channel) => channel.slice(0, 255) as Channel)
      taking(log, (draft) => ({ ...draft, channels: short(draft.channels) }))
      asking(log, (query) => ({ ...query, channels: short(query.channels) }))
    }
  },
  {
    fault: 'gives the same array again, and goes on filling it',
    caughtBy: 'does not change a page that it has given',
    spoil({ store }) {
      const given: LogEvent[] = []
      store.read = (query) => ({ ...Store.read.call(store, query), events: given })
      store.append = (drafts) => {
        const receipts = Store.append.call(store, drafts)
        given.splice(0, given.length, ...store.allHeld().map(({ event }) => event))
        return receipts
      }
    }
  }
]

const RECOGNISING: BrokenLog[] = [
  {
    fault: 'does not look at the life of a cursor',
    caughtBy: 'takes a cursor of another life for what it is, and gives all that it holds',
    spoil({ store }) {
      store.recognise = (from) =>
        typeof from === 'object' && 'seq' in from && !sameEpoch(from.witness, store.epoch)
          ? { after: Math.min(from.seq, store.state.head.seq) }
          : Store.recognise.call(store, from)
    }
  },
  {
    fault: 'goes on from the head after a cursor of another life',
    caughtBy: 'takes a cursor of another life for what it is, and gives all that it holds',
    spoil({ store }) {
      store.recognise = (from) => {
        const known = Store.recognise.call(store, from)
        return known.gap === 'reset' ? { ...known, after: store.state.head.seq } : known
      }
    }
  },
  {
    fault: 'takes a cursor ahead of its head for its head',
    caughtBy: 'takes a cursor ahead of its head for a lost tail, and gives all that it holds',
    spoil({ store }) {
      store.recognise = (from) =>
        typeof from === 'object' &&
        'seq' in from &&
        from.seq > store.state.head.seq &&
        sameEpoch(from.witness, store.epoch)
          ? { after: store.state.head.seq }
          : Store.recognise.call(store, from)
    }
  },
  {
    fault: 'does not compare witnesses',
    caughtBy: 'takes a cursor with the witness of another entry for a lost tail, whoever that entry is for',
    spoil({ store }) {
      store.recognise = (from) => {
        const known = Store.recognise.call(store, from)
        const isAhead = typeof from === 'object' && 'seq' in from && from.seq > store.state.head.seq
        return known.gap !== 'diverged' || isAhead ? known : { after: (from as { seq: number }).seq }
      }
    }
  },
  {
    fault: 'knows only what it holds',
    caughtBy: 'knows its head by its witness, though the entry is no longer held',
    spoil({ store }) {
      store.recognise = (from) => {
        if (typeof from !== 'object' || 'last' in from) return Store.recognise.call(store, from)
        const isRetained = from.seq === 0 || store.allHeld().some(({ seq }) => seq === from.seq)
        return isRetained ? Store.recognise.call(store, from) : { after: 0, gap: 'diverged' }
      }
    }
  },
  {
    fault: 'gives everything at once after a cursor that it does not know',
    caughtBy: 'gives what it holds in pages after a cursor that it does not know, and tells the gap on the first alone',
    spoil({ store }) {
      store.read = (query) => {
        const isKnown = store.recognise(query.from).gap === undefined
        return Store.read.call(store, isKnown ? query : { ...query, limit: 1_000_000 })
      }
    }
  },
  {
    fault: 'throws for a cursor that it cannot parse',
    caughtBy: 'never fails for a cursor, however strange',
    spoil({ store }) {
      store.recognise = (from) => {
        if (typeof from === 'object' && 'seq' in from && from.witness.length !== 14)
          throw new RangeError('a bad cursor')
        return Store.recognise.call(store, from)
      }
    }
  }
]

const RETAINING: BrokenLog[] = [
  {
    fault: 'keeps one event more than it may',
    caughtBy: 'keeps the newest events of each channel, as many as its kind may have',
    spoil({ store }) {
      store.bound = (channel) => {
        const { retention } = store.bounds
        const count =
          channel === 'everyone' ? retention.broadcast : channel.startsWith('u:') ? retention.user : retention.topic
        while (store.retained(channel).length > count + 1) store.evictOldest(channel)
      }
    }
  },
  {
    fault: 'never tells that something was evicted',
    caughtBy: 'tells a gap to whom something evicted is missing, and to nobody else',
    spoil({ store }) {
      store.read = (query) => {
        const page = Store.read.call(store, query)
        return page.gap === 'evicted' ? { ...page, gap: undefined } : page
      }
    }
  },
  {
    fault: 'tells a gap to whom the last evicted event was the last that he was given',
    caughtBy: 'tells a gap to whom something evicted is missing, and to nobody else',
    spoil({ store }) {
      store.read = (query) => {
        const page = Store.read.call(store, query)
        const { from } = query
        const isLast = typeof from === 'object' && 'seq' in from && page.evicted === from.seq && from.seq > 0
        return isLast ? { ...page, gap: page.gap ?? 'evicted' } : page
      }
    }
  },
  {
    fault: 'tells the lowest of the numbers evicted from several channels',
    caughtBy: 'says which number was the last to be evicted from the channels of a reader',
    spoil({ store }) {
      store.evicted = (channels) => Math.min(...channels.map((channel) => Store.evicted.call(store, [channel])))
    }
  },
  {
    fault: 'tells a gap to a reader who begins with the oldest',
    caughtBy: 'tells no gap to a reader who begins with the oldest, the newest or what comes next',
    spoil({ store }) {
      store.read = (query) => {
        const page = Store.read.call(store, query)
        return page.evicted > 0 && query.from === 'oldest' ? { ...page, gap: 'evicted' } : page
      }
    }
  },
  {
    fault: 'tells no gap of any kind',
    caughtBy: 'tells a gap to a reader who is overtaken between two pages',
    spoil({ store }) {
      store.read = (query) => ({ ...Store.read.call(store, query), gap: undefined })
    }
  },
  {
    fault: 'lets an event go from all its channels when one evicts it',
    caughtBy: 'lets an event that one channel evicts stay in the others',
    spoil({ store }) {
      store.evictOldest = (channel) => {
        const oldest = store.retained(channel)[0]
        for (const of of oldest?.draft.channels ?? []) oldest?.fates.set(of, 'evicted')
      }
    }
  },
  {
    fault: 'keeps so many events in all',
    caughtBy: 'evicts nothing from a channel, however much another is given',
    spoil({ store }) {
      store.bound = (channel) => {
        Store.bound.call(store, channel)
        while (store.allHeld().length > 4) {
          const oldest = store.allHeld()[0]
          for (const of of oldest?.draft.channels ?? []) oldest?.fates.set(of, 'evicted')
        }
      }
    }
  },
  {
    fault: 'takes a bound of nothing for none',
    caughtBy: 'keeps nothing of a kind that may have nothing, and says so',
    spoil({ store }) {
      store.bound = (channel) => {
        if (store.bounds.retention.user > 0) Store.bound.call(store, channel)
      }
    }
  },
  {
    fault: 'takes a collapsed event for an evicted one',
    caughtBy: 'lets the newest event of a collapse key take the place of the one before, which is no gap',
    spoil({ store }) {
      store.collapse = (channel, { collapseKey }) => {
        const same = store.retained(channel).filter(({ draft }) => draft.collapseKey === collapseKey)
        if (collapseKey !== undefined) for (const { fates } of same) fates.set(channel, 'evicted')
      }
    }
  },
  {
    fault: 'does not know a cursor whose event was collapsed',
    caughtBy: 'resumes after an event whose place another took',
    spoil({ store }) {
      store.recognise = (from) => {
        const entry = typeof from === 'object' && 'seq' in from ? store.state.entries[from.seq - 1] : undefined
        const isCollapsed = [...(entry?.fates.values() ?? [])].includes('collapsed')
        return isCollapsed ? { after: 0, gap: 'diverged' } : Store.recognise.call(store, from)
      }
    }
  },
  {
    fault: 'collapses over all channels',
    caughtBy: 'collapses in each channel for itself',
    spoil({ store }) {
      store.collapse = (_channel, draft) => {
        const all = new Set(store.allHeld().flatMap((entry) => entry.draft.channels))
        const { seq } = store.state.head
        for (const channel of all) {
          for (const retained of store.retained(channel)) {
            if (
              draft.collapseKey !== undefined &&
              retained.draft.collapseKey === draft.collapseKey &&
              retained.seq < seq
            )
              retained.fates.set(channel, 'collapsed')
          }
        }
      }
    }
  },
  {
    fault: 'hands over only the newest of a collapse key in a batch',
    caughtBy: 'collapses within a batch, and hands every event of it over',
    spoil(log) {
      handing(log, (events) => events.filter(({ data }, index) => data[0] !== 'p' || index === events.length - 1))
    }
  },
  {
    fault: 'counts what was collapsed',
    caughtBy: 'does not count what was collapsed, and tells the gap when the newest of its key goes',
    spoil({ store }) {
      store.bound = (channel) => {
        const filed = store.state.entries.filter(({ fates }) => fates.has(channel))
        for (const { fates } of filed.slice(0, -store.bounds.retention.user)) fates.set(channel, 'evicted')
      }
    }
  },
  {
    fault: 'lets the newest event go when it alone is too heavy for its channel',
    caughtBy: 'keeps no more text in a channel than the bound for channels, but its newest event in any case',
    spoil({ store }) {
      store.bound = (channel) => {
        while (store.weight(channel) > store.bounds.retention.channelBytes) store.evictOldest(channel)
      }
    }
  },
  {
    fault: 'has no bound for the bytes of a channel',
    caughtBy: 'keeps no more text in a channel than the bound for channels, but its newest event in any case',
    spoil({ store }) {
      store.bound = () => {}
    }
  },
  {
    fault: 'lets the oldest event of all go when there are too many bytes',
    caughtBy: 'keeps no more text in all than its bound, and lets the heaviest channel give',
    spoil({ store }) {
      store.shrink = () => {
        while (store.stats().bytes > store.bounds.retention.bytes) {
          const oldest = store.allHeld()[0]
          for (const of of oldest?.draft.channels ?? []) oldest?.fates.set(of, 'evicted')
        }
      }
    }
  },
  {
    fault: 'has no bound for the bytes in all',
    caughtBy: 'keeps no more text in all than its bound, and lets the heaviest channel give',
    spoil({ store }) {
      store.shrink = () => {}
    }
  }
]

const TAILING: BrokenLog[] = [
  {
    fault: 'hands what comes together over twice',
    caughtBy: 'hands every event over once, in order, as a reader finds it',
    spoil(log) {
      handing(log, (events) => (events.length > 1 ? [...events, ...events] : events))
    }
  },
  {
    fault: 'hands events over without their channels',
    caughtBy: 'hands every event over once, in order, as a reader finds it',
    spoil(log) {
      handing(log, (events) => events.map((event) => ({ ...event, channels: [] })))
    }
  },
  {
    fault: 'hands what comes together over the other way round',
    caughtBy: 'hands events over in order when many are appended at the same time',
    spoil(log) {
      handing(log, (events) => events.reverse())
    }
  },
  {
    fault: 'begins with the oldest event that it has',
    caughtBy: 'begins after the position that it tells',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.last = undefined
        return tail
      }
    }
  },
  {
    fault: 'begins a turn after the position that it tells',
    caughtBy: 'leaves nothing out and hands nothing over twice that is appended while it begins',
    spoil(log) {
      log.tail = async (listener) => {
        const { head } = log.store.state
        await turn()
        const tail = await Log.tail.call(log, listener)
        return { position: head, stop: () => tail.stop() }
      }
    }
  },
  {
    fault: 'hands transient events over after the others',
    caughtBy: 'hands a transient event over in its place among the others',
    spoil(log) {
      handing(log, (events) => [...events.filter(({ id }) => id !== null), ...events.filter(({ id }) => id === null)])
    }
  },
  {
    fault: 'hands over what readers are shown a little later',
    caughtBy: 'never hands an event over before a reader is shown it',
    spoil(log) {
      const dispatched = new Set<LogEvent>()
      handing(log, (events) => {
        for (const event of events) dispatched.add(event)
        setTimeout(() => dispatched.clear(), 3)
        return events
      })
      log.store.select = (channels) =>
        Store.select.call(log.store, channels).filter(({ event }) => !dispatched.has(event))
    }
  },
  {
    fault: 'has one tail, which the last to come takes over',
    caughtBy: 'hands everything over to each of several listeners',
    showsBy: 'waiting',
    spoil(log) {
      log.tail = (listener) => {
        log.tails.clear()
        return Log.tail.call(log, listener)
      }
    }
  },
  {
    fault: 'stops all tails when one is stopped',
    caughtBy: 'hands nothing over any more once it has been stopped, while others go on',
    showsBy: 'waiting',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.stop = async () => log.tails.clear()
        return tail
      }
    }
  },
  {
    fault: 'does not stop',
    caughtBy: 'can be stopped by the listener that is being called',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.stop = async () => {}
        return tail
      }
    }
  },
  {
    fault: 'calls listeners from within the append',
    caughtBy: 'hands over what a listener appends after what it was called for, to every listener',
    spoil(log) {
      const { store } = log
      log.append = async (drafts) => store.append(drafts)
      log.wake = () => {
        for (const tail of log.tails) tail.step()
      }
    }
  },
  {
    fault: 'hands a new listener what is just being handed over',
    caughtBy: 'begins after its position also for a listener that begins while another is being called',
    spoil(log) {
      const { store } = log
      log.append = async (drafts) => store.append(drafts)
      log.tail = async (listener) => {
        const tail = log.begin(listener)
        log.tails.add(tail)
        return tail
      }
      log.wake = () => {
        const { bus } = store.state
        const first = [...log.tails][0]
        const news = bus.slice(bus.lastIndexOf(first?.last) + 1).flatMap((event) => event ?? [])
        if (news.length === 0) return
        for (const tail of log.tails) {
          tail.last = bus.at(-1)
          tail.listener.onEvents(news)
        }
      }
    }
  },
  {
    fault: 'hands over only what it keeps',
    caughtBy: 'hands over what is not kept for long, or not at all',
    spoil(log) {
      handing(log, (events) => {
        const retained = new Set(log.store.allHeld().map(({ event }) => event))
        return events.filter((event) => retained.has(event))
      })
    }
  }
]

const CLOSING: BrokenLog[] = [
  {
    fault: 'cannot be closed twice',
    caughtBy: 'may be closed again, and at the same time',
    spoil(log) {
      log.close = async () => {
        if (log.isClosed && log.store.state.entries.length > 0) throw new Error('closed already')
        await Log.close.call(log)
      }
    }
  },
  {
    fault: 'cannot be closed before something was appended',
    caughtBy: 'may be closed before anything was done with it',
    spoil(log) {
      log.close = async () => {
        if (log.store.state.entries.length === 0) throw new Error('nothing to close')
        await Log.close.call(log)
      }
    }
  },
  {
    fault: 'goes on appending when it is closed',
    caughtBy: 'refuses to append and to listen when it is closed, with the code of the error',
    spoil(log) {
      log.append = async (drafts) => log.store.append(drafts)
    }
  },
  {
    fault: 'refuses a reader with an error of no code when it is closed',
    caughtBy: 'answers a reader when it is closed, or refuses with the code of the error',
    spoil(log) {
      log.read = async (query) => {
        if (log.isClosed) throw new Error('closed')
        return Log.read.call(log, query)
      }
    }
  },
  {
    fault: 'hands over what is under way when it is closed',
    caughtBy: 'calls no listener any more once it is closed',
    spoil(log) {
      log.append = async (drafts) => log.store.append(drafts)
      log.close = async () => {
        const tails = [...log.tails]
        log.isClosed = true
        setImmediate(() => tails.forEach((tail) => void tail.step()))
      }
    }
  },
  {
    fault: 'leaves what waits unanswered when it is closed',
    caughtBy: 'settles every append that it was closed over: done, or refused with a code',
    showsBy: 'waiting',
    spoil(log) {
      log.append = async (drafts) => {
        const receipts = await Log.append.call(log, drafts).catch(() => new Promise<Receipt[]>(() => {}))
        return receipts
      }
    }
  },
  {
    fault: 'waits in close for the listener that closes it',
    caughtBy: 'can be closed by a listener that is being called',
    showsBy: 'waiting',
    spoil(log) {
      let isCalling = false
      handing(log, (events) => {
        isCalling = true
        return events
      })
      log.close = async () => {
        if (isCalling) await new Promise(() => {})
        await Log.close.call(log)
      }
    }
  },
  {
    fault: 'does not let a tail be stopped after it is closed',
    caughtBy: 'lets a tail be stopped after it is closed',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.stop = async () => {
          if (!log.tails.delete(tail)) throw new Error('no such tail')
        }
        return tail
      }
    }
  },
  {
    fault: 'is ready when it is closed',
    caughtBy: 'is ready while it is open, if it tells its health',
    spoil(log) {
      log.ready = async () => true
    }
  },
  {
    fault: 'leaves a timer running when it is closed',
    caughtBy: 'leaves nothing running when it is closed',
    showsBy: 'waiting',
    spoil(log) {
      log.close = async () => {
        await Log.close.call(log)
        leftovers.push(setInterval(() => {}, 1_000))
      }
    }
  }
]

const TIMING: BrokenLog[] = [
  {
    fault: 'keeps what is too old',
    caughtBy: 'evicts what is older than it may be, which is a gap',
    spoil({ store }) {
      store.expire = () => {}
    }
  },
  {
    fault: 'takes what has lapsed for evicted',
    caughtBy: 'no longer gives what has outlived its ttl, which is no gap',
    spoil({ store }) {
      store.expire = () => {
        Store.expire.call(store)
        for (const { fates } of store.state.entries) {
          for (const [channel, fate] of fates) if (fate === 'expired') fates.set(channel, 'evicted')
        }
      }
    }
  },
  {
    fault: 'counts what has lapsed until somebody reads',
    caughtBy: 'does not count what has outlived its ttl',
    spoil({ store }) {
      store.append = (drafts) => {
        const receipts = drafts.map((draft) => store.known(draft) ?? store.accept(draft))
        store.wake()
        return receipts
      }
    }
  },
  {
    fault: 'tells no gap of an event that had a ttl',
    caughtBy: 'tells the gap when retention drops an event that has not outlived its ttl',
    spoil({ store }) {
      store.evictOldest = (channel) => {
        const oldest = store.retained(channel)[0]
        oldest?.fates.set(channel, oldest.draft.ttl === undefined ? 'evicted' : 'expired')
      }
    }
  },
  {
    fault: 'lets the newest of a collapse key lapse with the first',
    caughtBy: 'keeps the newest of a collapse key as long as it is worth, not the one before',
    spoil({ store }) {
      store.accept = (draft) => {
        const before = store
          .allHeld()
          .find((retained) => draft.collapseKey !== undefined && retained.draft.collapseKey === draft.collapseKey)
        return Store.accept.call(store, { ...draft, ttl: before?.draft.ttl ?? draft.ttl })
      }
    }
  },
  {
    fault: 'begins the window of a key anew with each repeat',
    caughtBy: 'forgets an idempotency key when its window has passed since the first, not the last, use',
    spoil({ store }) {
      store.known = (draft) => {
        const receipt = Store.known.call(store, draft)
        const known = store.state.known.get(nameOf(draft))
        if (receipt !== undefined && known !== undefined) {
          store.state.known.set(nameOf(draft), { ...known, at: store.clock.monotonic() })
        }
        return receipt
      }
    }
  },
  {
    fault: 'never forgets a key',
    caughtBy: 'forgets an idempotency key when its window has passed since the first, not the last, use',
    spoil({ store }) {
      store.known = (draft) => {
        const known = store.state.known.get(nameOf(draft))
        return known && { ...known.receipt, isRepeat: true }
      }
    }
  }
]

/** Faults that show when a node is opened over a store that is there already. */
const REOPENING: BrokenLog[] = [
  {
    fault: 'has lost the newest event when it is opened again',
    caughtBy: 'has everything that was acknowledged when it is opened again, as it was',
    spoil: again(({ state }) => void state.entries.pop())
  },
  {
    fault: 'begins a new life when it is opened again',
    caughtBy: 'goes on with the next number when it is opened again, and resumes every cursor',
    spoil: again((store) => {
      Object.assign(store, { epoch: newEpoch() })
    })
  },
  {
    fault: 'begins with a new witness while it is empty',
    caughtBy: 'resumes the head of an empty log when it is opened again',
    spoil: again(({ state, epoch }) => {
      if (state.head.seq === 0) state.head = { seq: 0, witness: newWitness(epoch) }
    })
  },
  {
    fault: 'has forgotten the witnesses when it is opened again',
    caughtBy: 'still knows a wrong witness, and a number that it never gave, when it is opened again',
    spoil: again((store) => {
      store.recognise = (from) =>
        typeof from === 'object' && 'seq' in from ? { after: from.seq } : Store.recognise.call(store, from)
    })
  },
  {
    fault: 'has forgotten what it evicted when it is opened again',
    caughtBy: 'still knows what it evicted, and from whom, when it is opened again',
    spoil: again(({ state }) => {
      for (const { fates } of state.entries) {
        for (const [channel, fate] of fates) if (fate === 'evicted') fates.set(channel, 'expired')
      }
    })
  },
  {
    fault: 'has forgotten keys when it is opened again',
    caughtBy: 'still knows idempotency keys when it is opened again',
    spoil: again(({ state }) => state.known.clear())
  },
  {
    fault: 'has forgotten collapse keys when it is opened again',
    caughtBy: 'still collapses with what was there when it is opened again',
    spoil: again(({ state }) => {
      state.entries = state.entries.map((entry) => ({ ...entry, draft: { ...entry.draft, collapseKey: undefined } }))
    })
  },
  {
    fault: 'hands all that it has over when it is opened again',
    caughtBy: 'hands over only what is new when it is opened again',
    spoil: again((_store, log) => {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.last = undefined
        return tail
      }
    })
  },
  {
    fault: 'has half of the last batch when it is opened again',
    caughtBy: 'has whole batches when it was ended while they were appended, and all that were acknowledged',
    spoil: again(({ state }) => void state.entries.splice(-2))
  },
  {
    fault: 'measures age from when it was opened',
    caughtBy: 'goes on measuring time when it is opened again',
    spoil: again((store) => {
      const appendedAt = store.clock.monotonic()
      store.state.entries = store.state.entries.map((entry) => ({ ...entry, appendedAt }))
    })
  }
]

const SHARING: BrokenLog[] = [
  {
    fault: 'hands transient events over on the node alone that appended them',
    caughtBy: 'hands what any node appends over to the listeners of all, once and in one order',
    spoil(log) {
      const mine = new Set<string>()
      log.append = (drafts) => {
        for (const { data } of drafts) mine.add(data)
        return Log.append.call(log, drafts)
      }
      handing(log, (events) => events.filter(({ id, data }) => id !== null || mine.has(data)))
    }
  },
  {
    fault: 'lets the nodes take turns within their batches',
    caughtBy: 'gives the batches of all nodes numbers of one sequence, with nothing between',
    spoil(log) {
      log.append = async (drafts) => {
        const receipts: Receipt[] = []
        for (const draft of drafts) receipts.push(...(await Log.append.call(log, [draft])))
        return receipts
      }
    }
  },
  {
    fault: 'reads on each node only what its tail has seen',
    caughtBy: 'shows what one node appended to readers of the others once the append is fulfilled',
    spoil(log) {
      let seen = log.store.state.head.seq
      log.append = async (drafts) => {
        const receipts = await Log.append.call(log, drafts)
        seen = log.store.state.head.seq
        return receipts
      }
      log.read = async (query) => {
        const page = await Log.read.call(log, query)
        return { ...page, events: page.events.filter(({ cursor }) => cursor !== null && cursor.seq <= seen) }
      }
    }
  },
  {
    fault: 'reads on each node what it saw a moment ago',
    caughtBy: 'never hands an event over on one node before a reader there is shown it',
    spoil(log) {
      let seen = log.store.state.head.seq
      log.wake = () => {
        Log.wake.call(log)
        const { seq } = log.store.state.head
        setTimeout(() => {
          seen = seq
        }, 5)
      }
      log.read = async (query) => {
        const page = await Log.read.call(log, query)
        return { ...page, events: page.events.filter(({ cursor }) => cursor !== null && cursor.seq <= seen) }
      }
    }
  },
  {
    fault: 'knows on each node only its own keys',
    caughtBy: 'appends one event when several nodes come with the same key',
    spoil(log) {
      const name = newEpoch()
      log.append = (drafts) =>
        Log.append.call(
          log,
          drafts.map((draft) => renamed(draft, (key) => name + key))
        )
    }
  },
  {
    fault: 'knows on each node only the cursors that it gave',
    caughtBy: 'resumes on one node what began on another, and tells the same gaps',
    spoil(log) {
      const mine = new Set<string | null>()
      log.append = async (drafts) => {
        const receipts = await Log.append.call(log, drafts)
        for (const { id } of receipts) mine.add(id)
        return receipts
      }
      log.read = async (query) => {
        const { from } = query
        const isMine = typeof from !== 'object' || 'last' in from || from.seq === 0 || mine.has(formatCursor(from))
        const page = await Log.read.call(log, query)
        return isMine ? page : { ...page, gap: 'diverged' }
      }
    }
  },
  {
    fault: 'collapses on each node only what it appended',
    caughtBy: 'collapses with what other nodes appended',
    spoil(log) {
      const name = newEpoch()
      log.append = (drafts) =>
        Log.append.call(
          log,
          drafts.map((draft) => ({ ...draft, collapseKey: draft.collapseKey && name + draft.collapseKey }))
        )
    }
  },
  {
    fault: 'closes the store when one node is closed',
    caughtBy: 'goes on when another node is closed, and lets a new one join',
    spoil(log) {
      log.close = async () => {
        for (const node of [...log.store.nodes]) await Log.close.call(node)
      }
    }
  }
]

const CUTTING: BrokenLog[] = [
  {
    fault: 'goes on from the head when its line is mended',
    caughtBy: 'hands over what was appended while its line was cut, once it is mended',
    spoil(log) {
      log.cut = () => {
        const mend = Log.cut.call(log)
        return () => {
          for (const tail of log.tails) tail.last = log.store.state.bus.at(-1)
          mend()
        }
      }
    }
  },
  {
    fault: 'hands the last event over again when its line is mended',
    caughtBy: 'hands over what was appended while its line was cut, once it is mended',
    spoil(log) {
      log.cut = () => {
        const mend = Log.cut.call(log)
        return () => {
          for (const { listener, last } of log.tails) if (last !== undefined) listener.onEvents([last])
          mend()
        }
      }
    }
  },
  {
    fault: 'goes on from the oldest that it has when it has lost its place',
    caughtBy: 'tells a break when more was appended while its line was cut than is held',
    spoil(log) {
      log.begin = (listener) =>
        Log.begin.call(log, { onEvents: (events) => listener.onEvents(events), onDiscontinuity: () => {} })
    }
  },
  {
    fault: 'waits with an append until its line is mended',
    caughtBy: 'refuses to append while its line is cut, in time and with a code, and repeats safely after',
    showsBy: 'waiting',
    spoil(log) {
      log.append = async (drafts) => {
        while (log.isCut && !log.isClosed) await turn()
        return Log.append.call(log, drafts)
      }
    }
  },
  {
    fault: 'gives a reader nothing while its line is cut',
    caughtBy: 'answers a reader while its line is cut, or refuses in time and with a code',
    spoil(log) {
      log.read = async (query) => {
        if (!log.isCut) return Log.read.call(log, query)
        return { events: [], remaining: 0, next: log.store.state.head, evicted: 0 }
      }
    }
  },
  {
    fault: 'cannot be closed while its line is cut',
    caughtBy: 'can be closed while its line is cut',
    spoil(log) {
      log.close = async () => {
        if (log.isCut) throw new Error('the line is cut')
        await Log.close.call(log)
      }
    }
  }
]

const REWINDING: BrokenLog[] = [
  {
    fault: 'forgets that it has lost its tail',
    caughtBy: 'knows the cursors of a tail that was lost, also once it has given their numbers again',
    spoil({ store }) {
      store.lose = () => {}
    }
  },
  {
    fault: 'gives an entry the same witness whenever it gives its number',
    caughtBy: 'knows the cursors of a tail that was lost, also once it has given their numbers again',
    spoil(log) {
      making(log, (event) => {
        const cursor = event.cursor && {
          ...event.cursor,
          witness: log.store.epoch + String(event.cursor.seq).padStart(6, '0')
        }
        return { ...event, cursor, id: cursor && formatCursor(cursor) }
      })
    }
  },
  {
    fault: 'goes on when the tail that it handed over was lost',
    caughtBy: 'tells a listener of a break when the tail that it was handed was lost',
    showsBy: 'waiting',
    spoil(log) {
      log.begin = (listener) => {
        const tail = Log.begin.call(log, listener)
        tail.step = () => {
          if (!log.store.state.bus.includes(tail.last)) tail.last = log.store.state.bus.at(-1)
          return Tail.step.call(tail)
        }
        return tail
      }
    }
  }
]

/** Spoils a store when a second node is opened over it. */
function again(spoil: (store: NaiveStore, log: NaiveLog) => void): (log: NaiveLog) => void {
  const stores = new WeakSet<NaiveStore>()
  return (log) => {
    if (stores.has(log.store)) spoil(log.store, log)
    stores.add(log.store)
  }
}

export const BROKEN_LOGS: readonly BrokenLog[] = [
  ...APPENDING,
  ...REPEATING,
  ...READING,
  ...RECOGNISING,
  ...RETAINING,
  ...TAILING,
  ...CLOSING,
  ...TIMING,
  ...REOPENING,
  ...SHARING,
  ...CUTTING,
  ...REWINDING
]
