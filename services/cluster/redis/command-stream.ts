import { CLOSE_REASONS } from '../../events/close-reason.ts'
import type { RedisLink } from '../../redis/link.ts'
import type { CloseCommand } from '../cluster.ts'
import { LISTEN } from './cluster-scripts.ts'

/** What nodes say to all others. */
export type NodeCommand =
  | { readonly joined: true }
  /** All write what they have, and look who is there. */
  | { readonly look: true }
  /** `from` is who wants an answer, and `id` by what he knows it; without them nobody does, and all are meant. */
  | { readonly command: CloseCommand; readonly from?: string | undefined; readonly id?: string | undefined }
  | { readonly answer: string; readonly node: string; readonly closed: number }

/** How long one call waits for something to be said, in milliseconds. */
const BLOCK = 1_000
/** How much is heard at a time. */
const MOST = 100
/** How long to wait after an error that the line survived, in milliseconds. */
const PAUSE = 200

/** Hears what nodes say, in order, each thing once, over a line of its own: also what was said while the line was away. */
export class CommandStream {
  readonly #link: RedisLink
  readonly #key: string
  readonly #hear: (command: NodeCommand, age: number) => void
  #at: string | undefined
  #isClosed = false

  constructor(link: RedisLink, key: string, hear: (command: NodeCommand, age: number) => void) {
    this.#link = link.duplicate({ blocking: BLOCK })
    this.#key = key
    this.#hear = hear
  }

  /** Begins after what was last said; or goes on, unless that has been lost since then. */
  begin(last: string): void {
    if (this.#at === undefined) {
      this.#at = last
      void this.#listen()
    } else if (isAfter(this.#at, last)) this.#at = '0-0'
  }

  close(): void {
    this.#isClosed = true
    this.#link.close()
  }

  /** Never rejects. */
  async #listen(): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#link.untilUp(BLOCK)
        if ((await this.#take()) === 0) {
          const read = [
            'XREAD',
            'BLOCK',
            String(BLOCK),
            'COUNT',
            '1',
            'STREAMS',
            `${this.#key}:said`,
            this.#at as string
          ]
          await this.#link.send(read)
        }
      } catch {
        // The line mends itself, and the membership logs that Redis is away.
        if (!this.#isClosed) await new Promise((resolve) => setTimeout(resolve, PAUSE))
      }
    }
  }

  async #take(): Promise<number> {
    const heard = (await this.#link.run(LISTEN, this.#key, ['', this.#at as string, String(MOST)])) as unknown[]
    for (let at = 0; at < heard.length && !this.#isClosed; at += 3) {
      this.#at = String(heard[at + 2])
      const command = parseNodeCommand(String(heard[at + 1]))
      if (command !== undefined) this.#hear(command, Number(heard[at]))
    }
    return heard.length
  }
}

/** What was said, or undefined for anything that no node says. Never throws. */
export function parseNodeCommand(text: string): NodeCommand | undefined {
  let message: Record<string, unknown>
  try {
    message = JSON.parse(text)
  } catch {
    // No node says what is not JSON.
    return undefined
  }
  if (typeof message !== 'object' || message === null) return undefined
  if (message.joined === true) return { joined: true }
  if (message.look === true) return { look: true }
  const { answer, node, closed, command, from, id } = message
  if (typeof answer === 'string' && typeof node === 'string' && Number.isSafeInteger(closed)) {
    return { answer, node, closed: closed as number }
  }
  return isCommand(command) && isTextOrNone(from) && isTextOrNone(id) ? { command, from, id } : undefined
}

function isCommand(value: unknown): value is CloseCommand {
  if (typeof value !== 'object' || value === null) return false
  const { of, reason, reconnect } = value as Record<string, unknown>
  if (typeof of !== 'object' || of === null || !(CLOSE_REASONS as readonly unknown[]).includes(reason)) return false
  if (reconnect !== undefined && typeof reconnect !== 'boolean') return false
  const { user, streams } = of as Record<string, unknown>
  return typeof user === 'string' || (Array.isArray(streams) && streams.every((id) => typeof id === 'string'))
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}

/** Whether a place in a stream of Redis, milliseconds and number, is after another one. */
function isAfter(one: string, other: string): boolean {
  const [time = 0, number = 0] = one.split('-').map(Number)
  const [otherTime = 0, otherNumber = 0] = other.split('-').map(Number)
  return time > otherTime || (time === otherTime && number > otherNumber)
}
