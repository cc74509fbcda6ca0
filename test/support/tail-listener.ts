import { EventEmitter, once } from 'node:events'
import type { EventLog, TailListener } from '../../services/event-log/event-log.ts'
import type { Cursor } from '../../services/events/cursor.ts'
import type { LogEvent, NewEvent } from '../../services/events/log-event.ts'

/** How long a test waits for what must come, in milliseconds. */
const PATIENCE = 20_000

/** Listens to a log, and lets a test wait for what comes. */
export class Listening implements TailListener {
  readonly events: LogEvent[] = []
  readonly breaks: Cursor[] = []
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
    this.breaks.push(position)
    this.#changes.emit('change')
  }

  met(text: string): Promise<void> {
    return this.#until(() => this.texts.includes(text), text)
  }

  broke(times = 1): Promise<void> {
    return this.#until(() => this.breaks.length >= times, 'a break')
  }

  async #until(isTrue: () => boolean, what: string): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE)
    while (!isTrue()) {
      await once(this.#changes, 'change', { signal }).catch(() => {
        throw new Error(`waited in vain for ${what}; was handed ${this.texts.slice(-20)}`)
      })
    }
  }
}

/** An event to Alice, of which only the text matters. */
export function toAlice(data: string, rest: Partial<NewEvent> = {}): NewEvent {
  return { channels: ['u:alice'], event: 'message', data, transient: false, final: false, streams: 0, ...rest }
}
