import type { Clock } from '../clock.ts'

/** The wheel turns once in an interval, in about so many steps: what falls due at once is a sixtieth of all streams. */
const SLOTS = 60
/** Steps finer than this would cost more than they spread. */
const MIN_STEP = 10
/**
 * By what part of the interval a heartbeat may come before it must. A broadcast writes to all streams at once; without this
 * their next heartbeats would all fall due at once, too.
 */
const SPREAD = 1 / 4
/** However rarely the wheel moves: what is stalled or expired is looked for so often, in milliseconds. */
const LONGEST_TICK = 250
/** A timer may come a little early; so much of a step counts as the whole. */
const WHOLE = 0.9

/** What the pulse keeps alive. */
export interface HeartbeatMember {
  /** When it was last written to, on the clock that never jumps. */
  readonly lastWrite: number
  /** Where on the wheel it is. */
  slot: number
}

export interface HeartbeatWheelOptions<Member> {
  readonly clock: Clock
  /** In milliseconds; 0 for no heartbeats. */
  readonly interval: number
  /** Called for each member that has been silent for an interval, or nearly; at the latest a step after that. */
  readonly heartbeat: (member: Member) => void
  /** Called at each tick, with the milliseconds since the last, for whatever else has to be looked after. */
  readonly step: (elapsed: number) => void
}

/**
 * The one timer of a hub. Members lie on a wheel that turns once in a heartbeat interval; where it comes by, who was silent
 * for about an interval gets a heartbeat, and who was written to is moved to where his next one falls due. Runs only while
 * there are members.
 */
export class HeartbeatWheel<Member extends HeartbeatMember> {
  readonly #options: HeartbeatWheelOptions<Member>
  readonly #step: number
  readonly #slots: Set<Member>[]
  #members = 0
  #at = 0
  /** When the wheel should have come to where it is. */
  #turned = 0
  #lastTick = 0
  #stop: (() => void) | undefined

  constructor(options: HeartbeatWheelOptions<Member>) {
    this.#options = options
    const { interval } = options
    this.#step = interval === 0 ? LONGEST_TICK : Math.max(MIN_STEP, interval / SLOTS)
    this.#slots = Array.from({ length: Math.max(1, Math.round(interval / this.#step)) }, () => new Set())
  }

  get size(): number {
    return this.#members
  }

  add(member: Member): void {
    if (this.#members++ === 0) this.#start()
    this.#positionBefore(member, this.#options.interval)
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

  /** Puts a member where the wheel comes by in `wait` milliseconds, or just after. */
  #schedule(member: Member, wait: number): void {
    this.#slots[member.slot]?.delete(member)
    const steps = Math.min(this.#slots.length, Math.max(1, Math.ceil(wait / this.#step)))
    member.slot = (this.#at + steps) % this.#slots.length
    this.#slots[member.slot]?.add(member)
  }

  /** Puts a member where the wheel comes by before `wait` milliseconds are over, by chance, so that members do not gather. */
  #positionBefore(member: Member, wait: number): void {
    const { clock, interval } = this.#options
    this.#schedule(member, wait - clock.random() * SPREAD * interval)
  }

  readonly #tick = (): void => {
    const now = this.#options.clock.monotonic()
    const elapsed = now - this.#lastTick
    this.#lastTick = now
    const steps = Math.floor((now - this.#turned) / this.#step + 1 - WHOLE)
    this.#turned += steps * this.#step
    // A timer that comes late comes once; the wheel makes up for what it missed, but at most one turn.
    for (let step = Math.min(steps, this.#slots.length); step > 0; step--) this.#turn(now)
    this.#options.step(elapsed)
  }

  #turn(now: number): void {
    this.#at = (this.#at + 1) % this.#slots.length
    const { interval, heartbeat } = this.#options
    if (interval === 0) return
    for (const member of [...(this.#slots[this.#at] as Set<Member>)]) {
      // The heartbeat of another may have closed it.
      if (member.slot !== this.#at) continue
      const wait = member.lastWrite + interval - now
      // A timer may come a little early.
      if (wait > SPREAD * interval + this.#step / 2) this.#positionBefore(member, wait)
      else heartbeat(member)
    }
  }
}
