import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { linkedHost } from './linked-host.ts'
import { ROOT } from './packed-host.ts'

/** Processes start slowly while a whole run of tests has the machine. In milliseconds. */
const PATIENCE = 60_000

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

  private constructor(t: Test, cwd: string, [file, ...args]: readonly string[], env: Record<string, string>) {
    this.child = spawn(file as string, args, {
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

  /** Starts the example of that name, or another program of the examples. */
  static start(t: Test, host: string, name: string, env: Record<string, string> = {}): Promise<ExampleProcess> {
    const args = name.endsWith('.mjs') ? [name] : ['start.mjs', name]
    return ExampleProcess.#listening(new ExampleProcess(t, host, [process.execPath, ...args], env), name)
  }

  /** Builds and starts an example with packages of its own, by the commands of its npm script. */
  static async startPackage(
    t: Test,
    host: string,
    name: string,
    env: Record<string, string> = {}
  ): Promise<ExampleProcess> {
    const cwd = join(host, name)
    const { scripts } = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8'))
    if ('build' in scripts) await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd })
    // Without the shell and npm between, which would not pass signals on to the example.
    const [, file] = /^(?:npm run --silent build && )?node (\S+)$/.exec(scripts.start) ?? []
    return ExampleProcess.#listening(new ExampleProcess(t, cwd, [process.execPath, file as string], env), name)
  }

  /** Resolves when the example has named its address. */
  static async #listening(example: ExampleProcess, name: string): Promise<ExampleProcess> {
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
    const patience = AbortSignal.timeout(PATIENCE)
    while (!isTrue())
      await once(this.#changes, 'change', { signal: patience }).catch(() => {
        throw new Error(`waited in vain for ${what}; received: ${this.output}`)
      })
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
