import { EventEmitter } from 'node:events'
import { EventSource as EventSourcePackage } from 'eventsource'
import { createEventSource } from 'eventsource-client'
import { EventSource as UndiciEventSource } from 'undici'
import { untilChange } from './waiting.ts'

const NAMES = ['message', 'hub.welcome', 'hub.gap', 'hub.close']

export interface Seen {
  readonly event: string
  readonly data: string
}

/** Any client implementation that reconnects by itself. */
export class ReconnectingClient {
  readonly seen: Seen[] = []
  /** It has given up, and will not reconnect. */
  isOver = false
  close: () => void = () => {}
  readonly #changes = new EventEmitter()

  take(seen: Seen): void {
    this.seen.push(seen)
    this.#changes.emit('change')
  }

  ended(isOver: boolean): void {
    this.isOver = isOver
    this.#changes.emit('change')
  }

  /** The data of every event of that name. */
  of(name: string): string[] {
    return this.seen.filter(({ event }) => event === name).map(({ data }) => data)
  }

  /** Resolves when `count` events of that name have arrived. */
  async count(name: string, count: number): Promise<string[]> {
    await this.until(() => this.of(name).length >= count, `${count} × ${name}`)
    return this.of(name)
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    await untilChange(this.#changes, isTrue, what, () => JSON.stringify(this.seen).slice(-1_000))
  }
}

/** The common API of the clients that imitate the browser's. */
interface BrowserLike {
  readonly readyState: number
  addEventListener(name: string, listener: (event: { data: string }) => void): void
  close(): void
}

function eventSourceClient(source: BrowserLike): ReconnectingClient {
  const client = new ReconnectingClient()
  for (const event of NAMES) source.addEventListener(event, ({ data }) => client.take({ event, data }))
  source.addEventListener('error', () => client.ended(source.readyState === 2))
  client.close = () => source.close()
  return client
}

function iteratorClient(url: string): ReconnectingClient {
  const client = new ReconnectingClient()
  const source = createEventSource({
    url,
    onMessage: ({ event = 'message', data }) => client.take({ event, data }),
    // The callback comes before the state changes.
    onDisconnect: () => queueMicrotask(() => client.ended(source.readyState === 'closed'))
  })
  client.close = () => source.close()
  return client
}

/** The clients that run on Node, by the names of their packages. */
export const RECONNECTING_CLIENTS: Record<string, (url: string) => ReconnectingClient> = {
  eventsource: (url) => eventSourceClient(new EventSourcePackage(url) as BrowserLike),
  undici: (url) => eventSourceClient(new UndiciEventSource(url) as unknown as BrowserLike),
  'eventsource-client': iteratorClient
}
