import { EventEmitter, once } from 'node:events'
import type { EventLog, TailListener } from '../../services/event-log/event-log.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'

/** How long a test waits before it fails, in milliseconds. */
const PATIENCE = 20_000

/** Listens to a log, and lets a test wait for events. */
export class Listening implements TailListener {
  readonly events: LogEvent[] = []
  readonly discontinuities: Cursor[] = []
  readonly #changes = new EventEmitter()

  static async to(log: EventLog): Promise<Listening> {
    const listening = new Listening()
    await log.tail(listening)
    return listening
  }

  get texts(): string[] {
    return this.events.map(({ data }) => data)
  }

  onEvents(events: readonly LogEvent[]): void {
    this.events.push(...events)
    this.#changes.emit('change')
  }

  onDiscontinuity(position: Cursor): void {
    this.discontinuities.push(position)
    this.#changes.emit('change')
  }

  met(text: string): Promise<void> {
    return this.#until(() => this.texts.includes(text), text)
  }

  discontinuity(times = 1): Promise<void> {
    return this.#until(() => this.discontinuities.length >= times, 'a discontinuity')
  }

  async #until(isTrue: () => boolean, what: string): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE)
    while (!isTrue()) {
      await once(this.#changes, 'change', { signal }).catch(() => {
        throw new Error(`waited in vain for ${what}; received ${this.texts.slice(-20)}`)
      })
    }
  }
}

/** An event to Alice, of which only the data matters. */
export function toAlice(data: string, rest: Partial<NewEvent> = {}): NewEvent {
  return { channels: ['u:alice'], event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}
