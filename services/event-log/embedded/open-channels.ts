import type { Channel } from '../../events/channel.ts'
import type { ChannelKind } from '../retention.ts'
import { sizeClassOf } from '../size-classes.ts'
import { ChannelPositions } from './channel-positions.ts'
import { firstClassOf, heaviestChannel } from './heaviest-channel.ts'
import { channelRow, type State, type Tables } from './tables.ts'

/** Weight of a channel with entries, besides its positions. */
const CHANNEL_OVERHEAD = 400
/** Max. number of emptied channels that are remembered one by one; of those evicted longest ago one number is kept for all. */
const MAX_EMPTIED = 100_000
/** The part of the bound in bytes that they may take, and what one takes on disk besides its name. */
const EMPTIED_SHARE = 1 / 8
const EMPTIED_OVERHEAD = 150
/** How many of them one transaction forgets, besides two for each channel that it has changed. */
const FORGET_AT_ONCE = 128
const BYTES_OF = { user: 'userBytes', topic: 'topicBytes', everyone: 'everyoneBytes', inbox: 'inboxBytes' } as const

/** The channels that one transaction has opened, and their rows in the tables. */
export class OpenChannels {
  readonly #tables: Tables
  readonly #state: State
  readonly #headBefore: number
  readonly #channels = new Map<Channel, ChannelPositions>()

  /** @param headBefore the head of the log before the transaction. */
  constructor(tables: Tables, state: State, headBefore: number) {
    this.#tables = tables
    this.#state = state
    this.#headBefore = headBefore
  }

  open(channel: Channel): ChannelPositions {
    const open = this.#channels.get(channel)
    if (open !== undefined) return open
    const found = channelRow(this.#tables, channel)
    // The content of a damaged channel is unknown: all of it counts as evicted.
    const evicted = found === 'damaged' ? this.#headBefore : this.#state.forgotten
    const isStored = found !== undefined && found !== 'damaged'
    const row = isStored ? found : ([this.#state.nextChannel++, 0, 0, 0, 0, evicted, 0] as const)
    const positions = new ChannelPositions(this.#tables, channel, [...row], isStored)
    this.#channels.set(channel, positions)
    return positions
  }

  /**
   * Opens a channel of the heaviest size class of a kind, each of them in its turn; undefined without a channel of the kind.
   * @param turn the id of the channel whose turn was last.
   */
  openHeaviest(kind: ChannelKind, turn: number): ChannelPositions | undefined {
    const heaviest = heaviestChannel(this.#tables, kind, turn, (channel) => this.open(channel))
    // Bytes that remain counted without a channel come from a damaged store.
    if (heaviest === undefined) this.#state[BYTES_OF[kind]] = 0
    return heaviest
  }

  /** A channel that damage lets count more than it has. */
  correct(positions: ChannelPositions): void {
    this.#state.bytes = Math.max(0, this.#state.bytes - positions.bytes)
    positions.correct()
  }

  settleAll(): void {
    for (const positions of this.#channels.values()) this.settle(positions)
  }

  /** Updates the tables with the changes to a channel. */
  settle(positions: ChannelPositions): void {
    const { channels, sizes, emptied } = this.#tables
    const { storedAs, id, channel, kind, bytes } = positions
    const sizeClass = sizeClassOf(bytes)
    if (sizeClass !== storedAs.sizeClass) {
      const classes = firstClassOf(kind)
      if (storedAs.sizeClass > 0) sizes.removeSync([classes + storedAs.sizeClass, id])
      if (sizeClass > 0) sizes.putSync([classes + sizeClass, id], channel)
    }
    const isRetained = positions.count > 0
    const overhead = (Number(isRetained) - Number(storedAs.isRetained)) * CHANNEL_OVERHEAD
    this.#state.channels += Number(isRetained) - Number(storedAs.isRetained)
    this.#state.bytes += overhead
    this.#state[BYTES_OF[kind]] += bytes - storedAs.bytes + overhead
    const emptiedAt = !isRetained && positions.evicted > this.#state.forgotten ? positions.evicted : 0
    if (emptiedAt !== storedAs.emptied) {
      if (storedAs.emptied > 0) emptied.removeSync([storedAs.emptied, id])
      if (emptiedAt > 0) emptied.putSync([emptiedAt, id], channel)
      this.#countEmptied(channel, Number(emptiedAt > 0) - Number(storedAs.emptied > 0))
    }
    positions.storedAs = { isRetained, sizeClass, bytes, emptied: emptiedAt }
    if (isRetained || emptiedAt > 0) channels.putSync(channel, positions.row)
    else this.#forget(channel, positions)
  }

  /** Forgets the emptied channels that were evicted longest ago, until the others are within their bounds. */
  forgetEmptied(allBytes: number): void {
    const maxBytes = allBytes * EMPTIED_SHARE
    for (let left = FORGET_AT_ONCE + 2 * this.#channels.size; left > 0; left--) {
      if (this.#state.emptied <= MAX_EMPTIED && this.#state.emptiedBytes <= maxBytes) return
      const [first] = [...this.#tables.emptied.getRange({ limit: 1 })]
      if (first === undefined) return
      const channel = first.value as Channel
      this.#countEmptied(channel, -1)
      this.#tables.emptied.removeSync(first.key)
      const positions = this.open(channel)
      // A channel with entries is not the one that the index means.
      if (positions.id !== first.key[1] || positions.count > 0) continue
      this.#state.forgotten = Math.max(this.#state.forgotten, first.key[0])
      this.#forget(channel, positions)
    }
  }

  #forget(channel: Channel, positions: ChannelPositions): void {
    positions.dropBlocks()
    this.#tables.channels.removeSync(channel)
    this.#channels.delete(channel)
  }

  #countEmptied(channel: Channel, count: number): void {
    this.#state.emptied += count
    this.#state.emptiedBytes += count * (EMPTIED_OVERHEAD + 2 * Buffer.byteLength(channel))
  }
}
