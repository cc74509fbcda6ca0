import type { Channel } from '../../events/channel.ts'
import type { ChannelKind } from '../retention.ts'
import type { ChannelPositions } from './channel-positions.ts'
import { END, type Tables } from './tables.ts'

/** Upper bound of the number of size classes. */
const CLASSES = 64
const FIRST_CLASS: Record<ChannelKind, number> = {
  user: 0,
  topic: CLASSES,
  everyone: 2 * CLASSES,
  inbox: 3 * CLASSES
}

/** The classes of one kind are adjacent in the table of sizes. */
export function firstClassOf(kind: ChannelKind): number {
  return FIRST_CLASS[kind]
}

/**
 * A channel of the heaviest class of a kind, each of them in its turn.
 * @param turn the id of the channel whose turn was last.
 * @param open opens a channel for writing.
 */
export function heaviestChannel(
  { sizes }: Pick<Tables, 'sizes'>,
  kind: ChannelKind,
  turn: number,
  open: (channel: Channel) => ChannelPositions
): ChannelPositions | undefined {
  for (;;) {
    const base = FIRST_CLASS[kind]
    const [heaviest] = sizes.getKeys({ reverse: true, start: [base + CLASSES, 0], end: [base, 0], limit: 1 })
    if (heaviest === undefined) return undefined
    const sizeClass = heaviest[0]
    const next = first(sizes, [sizeClass, turn + 1], [sizeClass, END]) ?? first(sizes, [sizeClass, 0], [sizeClass, END])
    if (next === undefined) return undefined
    const positions = open(next.value as Channel)
    const { id, storedAs } = positions
    const isFound = id === next.key[1] && positions.kind === kind
    if (isFound && base + storedAs.sizeClass === sizeClass) return positions
    // The index refers to a channel that is missing or has another weight.
    sizes.removeSync(next.key)
    if (isFound && storedAs.sizeClass > 0) sizes.putSync([base + storedAs.sizeClass, id], positions.channel)
  }
}

function first(sizes: Tables['sizes'], start: [number, number], end: [number, number]) {
  const [row] = sizes.getRange({ start, end, limit: 1 })
  return row
}
