import type { Clock } from '../clock.ts'
import { RecentMax } from '../recent-max.ts'

/** The wheel turns once per interval in about so many steps: a sixtieth of all streams is due at once. */
const SLOTS = 60
/** The shortest step in milliseconds: shorter ones cost more than their finer spread is worth. */
const MIN_STEP = 10
/**
 * The part of the interval by which a heartbeat may be early. A broadcast writes to all streams at once; without this spread
 * all their next heartbeats would be due at once.
 */
const SPREAD = 1 / 4
/** The longest time between ticks, in milliseconds: stalled and expired streams are checked at each tick. */
const LONGEST_TICK = 250
/** The window of the reported lag, in milliseconds. */
const LAG_WINDOW = 15_000
/** A timer may fire a little early; this part of a step counts as the whole. */
const WHOLE = 0.9

/** A stream as the wheel sees it. */
export interface HeartbeatMember {
  /** The monotonic time of the last write, in milliseconds. */
  readonly lastWrite: number
  /** The member's slot in the wheel; -1 outside of it. */
  slot: number
}

export interface HeartbeatWheelOptions<Member> {
  readonly clock: Clock
  /** In milliseconds; 0 for no heartbeats. */
  readonly interval: number
  /** Called for each member without a write for about an interval; at the latest one step after the interval. */
  readonly heartbeat: (member: Member) => void
  /** Called at each tick with the milliseconds since the last one, for the remaining maintenance of streams. */
  readonly step: (elapsed: number) => void
}

/**
 * The one timer of a hub, as a timing wheel that turns once per heartbeat interval. At each slot, members without a write for
 * about an interval get a heartbeat, and the others move to the slot where their next one is due. The timer runs only while
 * there are members.
 */
export class HeartbeatWheel<Member extends HeartbeatMember> {
  readonly #options: HeartbeatWheelOptions<Member>
  readonly #step: number
  readonly #slots: Set<Member>[]
  #members = 0
  #at = 0
  /** When the current slot was due. */
  #turned = 0
  #lastTick = 0
  readonly #lag = new RecentMax(LAG_WINDOW)
  #stop: (() => void) | undefined

  constructor(options: HeartbeatWheelOptions<Member>) {
    this.#options = options
    const { interval } = options
    this.#step = interval === 0 ? LONGEST_TICK : Math.max(MIN_STEP, interval / SLOTS)
    this.#slots = Array.from({ length: Math.max(1, Math.round(interval / this.#step)) }, () => new Set())
  }

  /** How late the timer was, at most, within the last half minute, in milliseconds. */
  get lag(): number {
    return this.#lag.read(this.#options.clock.monotonic())
  }

  get size(): number {
    return this.#members
  }

  add(member: Member): void {
    if (this.#members++ === 0) this.#start()
    this.#scheduleBefore(member, this.#options.interval)
  }

  delete(member: Member): void {
    if (!this.#slots[member.slot]?.delete(member)) return
    member.slot = -1
    if (--this.#members === 0) this.#halt()
  }

  #start(): void {
    this.#lastTick = this.#options.clock.monotonic()
    this.#turned = this.#lastTick
    this.#stop = this.#options.clock.every(Math.min(this.#step, LONGEST_TICK), this.#tick)
  }

  #halt(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  /** Puts a member into the slot that is due in `wait` milliseconds, or just after. */
  #schedule(member: Member, wait: number): void {
    this.#slots[member.slot]?.delete(member)
    const steps = Math.min(this.#slots.length, Math.max(1, Math.ceil(wait / this.#step)))
    member.slot = (this.#at + steps) % this.#slots.length
    this.#slots[member.slot]?.add(member)
  }

  /** Puts a member into a random slot that is due before `wait` milliseconds are over, so that members do not cluster. */
  #scheduleBefore(member: Member, wait: number): void {
    const { clock, interval } = this.#options
    this.#schedule(member, wait - clock.random() * SPREAD * interval)
  }

  readonly #tick = (): void => {
    const now = this.#options.clock.monotonic()
    const elapsed = now - this.#lastTick
    this.#lastTick = now
    this.#lag.add(elapsed - Math.min(this.#step, LONGEST_TICK), now)
    const steps = Math.floor((now - this.#turned) / this.#step + 1 - WHOLE)
    this.#turned += steps * this.#step
    // A late timer fires once. The wheel makes up for the missed steps, but for at most one turn.
    for (let step = Math.min(steps, this.#slots.length); step > 0; step--) this.#turn(now)
    this.#options.step(elapsed)
  }

  #turn(now: number): void {
    this.#at = (this.#at + 1) % this.#slots.length
    const { interval, heartbeat } = this.#options
    if (interval === 0) return
    for (const member of [...(this.#slots[this.#at] as Set<Member>)]) {
      // The heartbeat of another member may have closed this one.
      if (member.slot !== this.#at) continue
      const wait = member.lastWrite + interval - now
      // A timer may fire a little early.
      if (wait > SPREAD * interval + this.#step / 2) this.#scheduleBefore(member, wait)
      else heartbeat(member)
    }
  }
}
