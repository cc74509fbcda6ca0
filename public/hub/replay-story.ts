import { closeStream, publish } from './api.ts'
import type { EventRow } from './event-store.ts'
import { redrawSoon } from './frame-clock.ts'
import type { HubStream } from './hub-stream.ts'
import { until } from './streams.ts'

/** Events that are published while a cut stream is away. */
export const MEANWHILE = 3
/** How long a cut stream may take to return, and its events to arrive then, in milliseconds. */
const RETURN_PATIENCE = 30_000
const ARRIVAL_PATIENCE = 3_000

/** The course of a cut so far. */
export interface Story {
  readonly step: 'cutting' | 'away' | 'back' | 'exact' | 'gapped' | 'wrong' | 'failed'
  readonly published: number
  readonly replayed: number
  readonly live: number
  readonly seconds?: number
  readonly problem?: unknown
}

export const stories = new WeakMap<HubStream, Story>()

/** The hub cuts the streams, and three events go to each of their users meanwhile. The streams return and get what they missed. */
export async function cut(streams: readonly HubStream[]): Promise<void> {
  const victims = streams.filter((stream) => stream.canBeCut)
  const tales = victims.map((stream) => new Tale(stream))
  await Promise.all(tales.map((tale) => tale.cut()))
  const users = new Set(tales.filter((tale) => tale.isCut).map(({ stream }) => stream.wish.user))
  for (const user of users) {
    const theirs = tales.filter((tale) => tale.isCut && tale.stream.wish.user === user)
    for (let number = 1; number <= MEANWHILE; number++) {
      const data = `{ "missed": ${number}, "of": ${MEANWHILE} }`
      const receipt = publish({ kind: 'user', name: user }, { event: 'missed', data })
      await Promise.all(theirs.map((tale) => tale.published(receipt)))
    }
  }
  await Promise.all(tales.map((tale) => tale.finish()))
}

/** Watches one stream through its cut. */
class Tale {
  readonly stream: HubStream
  isCut = false
  readonly #ids: string[] = []
  /** Ids that arrived since the cut: an event may arrive before its receipt. */
  readonly #arrivals = new Map<string, { isReplayed: boolean; times: number }>()
  readonly #gapsBefore: number
  readonly #returnsBefore: number
  readonly #began = performance.now()
  #story: Story = { step: 'cutting', published: 0, replayed: 0, live: 0 }

  constructor(stream: HubStream) {
    this.stream = stream
    this.#gapsBefore = stream.counts.gaps
    this.#returnsBefore = stream.returns
    stream.arrivals.add(this.#arrived)
    this.#tell({})
  }

  readonly #arrived = ({ id }: EventRow, isReplayed: boolean) => {
    this.#arrivals.set(id, { isReplayed, times: (this.#arrivals.get(id)?.times ?? 0) + 1 })
  }

  async cut(): Promise<void> {
    const { stream } = this
    const id = stream.welcome?.stream as string
    try {
      await closeStream(id, true)
      this.isCut = true
      this.#tell({ step: 'away' })
    } catch (problem) {
      this.#tell({ step: 'failed', problem })
    }
  }

  async published(receipt: Promise<{ id: string | null }>): Promise<void> {
    try {
      const { id } = await receipt
      if (id !== null) this.#ids.push(id)
      this.#tell({ published: this.#ids.length })
    } catch (problem) {
      this.#tell({ step: 'failed', problem })
    }
  }

  async finish(): Promise<void> {
    const { stream } = this
    if (this.#story.step !== 'failed') {
      const isBack = await until(stream, () => stream.returns > this.#returnsBefore || stream.isOver, RETURN_PATIENCE)
      const seconds = (performance.now() - this.#began) / 1_000
      if (isBack && !stream.isOver) {
        this.#tell({ step: 'back', seconds })
        await until(stream, () => this.#ids.every((one) => this.#arrivals.has(one)), ARRIVAL_PATIENCE)
      }
      this.#conclude()
    }
    stream.arrivals.delete(this.#arrived)
  }

  #conclude(): void {
    const found = this.#ids.flatMap((id) => this.#arrivals.get(id) ?? [])
    const replayed = found.filter(({ isReplayed }) => isReplayed).length
    const isExact = found.length === MEANWHILE && found.every(({ times }) => times === 1)
    const isGapped = this.stream.counts.gaps > this.#gapsBefore
    this.#tell({ step: isGapped ? 'gapped' : isExact ? 'exact' : 'wrong', replayed, live: found.length - replayed })
  }

  #tell(change: Partial<Story>): void {
    this.#story = { ...this.#story, ...change }
    stories.set(this.stream, this.#story)
    redrawSoon()
  }
}
