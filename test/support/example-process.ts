import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'
import { linkedHost } from './linked-host.ts'
import { ROOT } from './packed-host.ts'
import { untilChange } from './waiting.ts'

/** A folder with all examples, in which the package resolves as if it were installed. */
export const linkedExamples = (t: Test): Promise<string> => linkedHost(t, join(ROOT, 'examples'))

/** An example as its README starts it, on a port of its own. */
export class ExampleProcess {
  readonly child: ChildProcess
  /** The text of both outputs. */
  output = ''
  url = ''
  readonly #changes = new EventEmitter()
  readonly #exit: Promise<[number | null, NodeJS.Signals | null]>

  private constructor(t: Test, cwd: string, args: readonly string[], env: Record<string, string>) {
    this.child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, PORT: '0', NODE_OPTIONS: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (text) => {
        this.output += text
        this.#changes.emit('change')
      })
    this.#exit = once(this.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
    this.#exit.then(() => this.#changes.emit('change'))
    t.teardown(async () => {
      if (this.child.kill('SIGKILL')) await this.#exit
    })
  }

  /** Starts the example of that name, or another program of the examples; resolves when it has named its address. */
  static async start(t: Test, host: string, name: string, env: Record<string, string> = {}): Promise<ExampleProcess> {
    const args = name.endsWith('.mjs') ? [name] : ['start.mjs', name]
    const example = new ExampleProcess(t, host, args, env)
    const address = /^open (http:\S+)\/$/m
    await example.until(() => address.test(example.output) || example.child.exitCode !== null, 'its address')
    example.url = address.exec(example.output)?.[1] ?? ''
    if (example.url === '') throw new Error(`${name} ended: ${example.output}`)
    return example
  }

  /** Resolves when it has written the text. */
  async wrote(text: string): Promise<void> {
    await this.until(() => this.output.includes(text), text)
  }

  private async until(isTrue: () => boolean, what: string): Promise<void> {
    await untilChange(this.#changes, isTrue, what, () => this.output)
  }

  /** Ends it as Ctrl-C or a supervisor does, and resolves with its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal)
    return (await this.#exit)[0]
  }

  /** Sends JSON, and returns the status and the answer. */
  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      redirect: 'manual',
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : { text } }
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any example
  readonly body: Record<string, any>
}
