import { CLOSE_REASONS } from '../../events/close-reason.ts'
import type { RedisLink } from '../../redis/link.ts'
import type { CloseCommand } from '../cluster.ts'
import { isTopicCommand, type TopicCommand } from '../topic-command.ts'
import { LISTEN } from './cluster-scripts.ts'

/** A message of a node to all others. */
export type NodeCommand =
  | { readonly joined: true }
  /** Asks all nodes to write their changes, and to read which nodes are alive. */
  | { readonly look: true }
  /** `from` is the node that waits for an answer, `id` the answer's id. Without them no node waits, and all execute it. */
  | { readonly command: CloseCommand; readonly from?: string | undefined; readonly id?: string | undefined }
  | { readonly topics: TopicCommand; readonly from: string; readonly id: string }
  | { readonly answer: string; readonly node: string; readonly closed: number }

/** How long one read blocks, in milliseconds. */
const BLOCK = 1_000
/** Max. number of messages that are read at a time. */
const MAX_PAGE = 100
/** Delay after an error that leaves the connection up, in milliseconds. */
const PAUSE = 200

/** Subscribes to the cluster's command stream: in order, each message once, also those from while the connection was down. */
export class CommandStream {
  readonly #link: RedisLink
  readonly #key: string
  readonly #onCommand: (command: NodeCommand, age: number) => void
  #at: string | undefined
  #isClosed = false

  constructor(link: RedisLink, key: string, onCommand: (command: NodeCommand, age: number) => void) {
    this.#link = link.duplicate({ blocking: BLOCK })
    this.#key = key
    this.#onCommand = onCommand
  }

  /** Begins after the last message; or continues, unless the command stream has been lost since then. */
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
        // The connection reconnects by itself, and the membership logs that Redis is down.
        if (!this.#isClosed) await new Promise((resolve) => setTimeout(resolve, PAUSE))
      }
    }
  }

  async #take(): Promise<number> {
    const messages = (await this.#link.run(LISTEN, this.#key, ['', this.#at as string, String(MAX_PAGE)])) as unknown[]
    for (let at = 0; at < messages.length && !this.#isClosed; at += 3) {
      this.#at = String(messages[at + 2])
      const command = parseNodeCommand(String(messages[at + 1]))
      if (command !== undefined) this.#onCommand(command, Number(messages[at]))
    }
    return messages.length
  }
}

/** Parses a message, or returns undefined for one that no node has sent. Never throws. */
export function parseNodeCommand(text: string): NodeCommand | undefined {
  let message: Record<string, unknown>
  try {
    message = JSON.parse(text)
  } catch {
    // No node sends text that is not JSON.
    return undefined
  }
  if (typeof message !== 'object' || message === null) return undefined
  if (message.joined === true) return { joined: true }
  if (message.look === true) return { look: true }
  const { answer, node, closed, command, topics, from, id } = message
  if (typeof answer === 'string' && typeof node === 'string' && Number.isSafeInteger(closed)) {
    return { answer, node, closed: closed as number }
  }
  if (isTopicCommand(topics) && typeof from === 'string' && typeof id === 'string') return { topics, from, id }
  return isCommand(command) && isOptionalText(from) && isOptionalText(id) ? { command, from, id } : undefined
}

function isCommand(value: unknown): value is CloseCommand {
  if (typeof value !== 'object' || value === null) return false
  const { of, reason, reconnect } = value as Record<string, unknown>
  if (typeof of !== 'object' || of === null || !(CLOSE_REASONS as readonly unknown[]).includes(reason)) return false
  if (reconnect !== undefined && typeof reconnect !== 'boolean') return false
  const { user, streams } = of as Record<string, unknown>
  return typeof user === 'string' || (Array.isArray(streams) && streams.every((id) => typeof id === 'string'))
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}

/** Whether an entry id of a Redis stream, milliseconds and number, is after another one. */
function isAfter(one: string, other: string): boolean {
  const [time = 0, number = 0] = one.split('-').map(Number)
  const [otherTime = 0, otherNumber = 0] = other.split('-').map(Number)
  return time > otherTime || (time === otherTime && number > otherNumber)
}
