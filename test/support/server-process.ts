import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'
import { NODE_COMMAND } from './node-command.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** The command that starts it from its source. */
export const FROM_SOURCE: readonly string[] = [...NODE_COMMAND, 'server.ts']

/** The hub as its users start it. */
export class ServerProcess {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly #name: string
  readonly #exit: Promise<[number | null, NodeJS.Signals | null]>

  constructor(t: Test, env: Record<string, string>, [file, ...args] = FROM_SOURCE) {
    this.#name = `hub on port ${env.PORT ?? 0}`
    this.child = spawn(file as string, args, {
      cwd: ROOT,
      env: { ...process.env, PORT: '0', LOG_LEVEL: 'error', HUB_STORE: 'memory', ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.child.stdout?.on('data', (text) => {
      this.stdout += text
    })
    this.child.stderr?.on('data', (text) => {
      this.stderr += text
    })
    this.#exit = once(this.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
    t.teardown(() => this.child.kill('SIGKILL'))
  }

  /** The address that it logs. */
  async url(): Promise<string> {
    const gone = this.#exit.then(([code]) =>
      Promise.reject(new Error(`${this.#name} ended with ${code}: ${this.stderr}`))
    )
    gone.catch(() => {})
    for (;;) {
      const announced = /^fastify-sse-hub: open (https?:\/\/\S+)\/$/m.exec(this.stdout)
      if (announced !== null) return announced[1] as string
      await Promise.race([once(this.child.stdout as NodeJS.ReadableStream, 'data'), gone])
    }
  }

  /** Resolves when its log contains the text. */
  async logged(text: string): Promise<void> {
    while (!this.stdout.includes(text)) await once(this.child.stdout as NodeJS.ReadableStream, 'data')
  }

  /** Sends a signal, and resolves with the exit code. */
  async stop(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal)
    return this.ended()
  }

  async ended(): Promise<number | null> {
    return (await this.#exit)[0]
  }
}

/** Publishes over HTTP; throws the response if it is not a success. */
export async function publish(url: string, route: string, data: unknown): Promise<void> {
  const response = await fetch(url + route, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ data })
  })
  if (response.status !== 202) throw new Error(await response.text())
}
