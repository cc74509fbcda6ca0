import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Test } from 'tap'
import { NODE_COMMAND } from './node-command.ts'
import { StreamClient } from './stream-client.ts'

const FILE = join(import.meta.dirname, 'hub-process.ts')

/** One node of a hub in a process of its own, used over HTTP. */
export class NodeProcess {
  readonly url: string
  /** The changes of presence that this node has reported, as `online alice`. */
  readonly presence: string[] = []
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string, lines: Interface) {
    this.#child = child
    this.url = url
    lines.on('line', (line) => {
      if (line.startsWith('presence ')) this.presence.push(line.slice(9))
    })
  }

  static async start(t: Test, options: object): Promise<NodeProcess> {
    const [node, ...args] = NODE_COMMAND
    const child = spawn(node as string, [...args, FILE, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    t.teardown(() => child.kill('SIGKILL'))
    const lines = createInterface(child.stdout as NodeJS.ReadableStream)
    const url = await new Promise<string>((resolve, reject) => {
      lines.on('line', (line) => line.startsWith('open ') && resolve(line.slice(5)))
      lines.once('close', () => reject(new Error(`the node ended with ${child.exitCode} before it listened`)))
    })
    return new NodeProcess(child, url, lines)
  }

  /** Opens a stream, and resolves after its welcome. */
  async client(user: string, query = ''): Promise<StreamClient> {
    const client = await this.open(user, query)
    await client.event('hub.welcome')
    return client
  }

  /** Opens a stream that may be rejected. */
  open(user: string, query = '', lastEventId?: string): Promise<StreamClient> {
    return StreamClient.open(`${this.url}/events?user=${encodeURIComponent(user)}${query}`, { lastEventId })
  }

  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, never> }> {
    const response = await fetch(this.url + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
    })
    return { status: response.status, body: (await response.json()) as Record<string, never> }
  }

  async get(path: string): Promise<Record<string, unknown>> {
    return (await this.call('GET', path)).body
  }

  /** Sends a signal, and resolves with the exit code when the process is gone. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const gone = once(this.#child, 'exit')
    this.#child.kill(signal)
    const [code] = await gone
    return code
  }

  /** Stops its event loop, as a debugger or an overloaded machine would. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }
}
