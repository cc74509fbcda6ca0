import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const ROOT = join(import.meta.dirname, '..', '..')
const PROBE = join(import.meta.dirname, 'stall-probe.mjs')

/** Compiles the hub as `npm start` does, and returns the folder: its processes start at once and run as fast as a user's. */
export async function compileHub(t: Test): Promise<string> {
  mkdirSync(join(ROOT, '.tap'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, '.tap', 'standalone-hub-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const compiler = join(ROOT, 'node_modules', '.bin', 'tsc')
  await promisify(execFile)(compiler, ['-p', 'tsconfig.build.json', '--outDir', folder], { cwd: ROOT })
  // What Redis runs is read when the hub is loaded.
  cpSync(join(ROOT, 'services'), join(folder, 'services'), {
    recursive: true,
    filter: (path) => path.endsWith('.lua') || statSync(path).isDirectory()
  })
  symlinkSync(join(ROOT, 'public'), join(folder, 'public'))
  return folder
}

/** The standalone hub in a process of its own. */
export class StandaloneHub {
  readonly child: ChildProcess
  readonly #name: string
  #stdout = ''
  #stderr = ''
  readonly #stalls: string
  readonly #exit: Promise<[number | null, NodeJS.Signals | null]>

  /** @param folder what {@link compileHub} returned. */
  constructor(t: Test, folder: string, env: Record<string, string>) {
    this.#name = `hub on port ${env.PORT ?? 0}`
    this.#stalls = join(mkdtempSync(join(folder, 'stalls-')), 'longest')
    this.child = spawn(process.execPath, ['--import', PROBE, join(folder, 'server.js')], {
      env: { PATH: process.env.PATH, PORT: '0', LOG_LEVEL: 'error', STALL_FILE: this.#stalls, ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.child.stdout?.on('data', (text) => {
      this.#stdout += text
    })
    this.child.stderr?.on('data', (text) => {
      this.#stderr += text
    })
    this.#exit = once(this.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
    t.teardown(() => this.child.kill('SIGKILL'))
  }

  /** The address that it announces, without a slash at its end. */
  async url(): Promise<string> {
    const gone = this.#exit.then(([code]) =>
      Promise.reject(new Error(`${this.#name} ended with ${code}: ${this.#stderr}`))
    )
    gone.catch(() => {})
    for (;;) {
      const announced = /^fastify-sse-hub: open (https?:\/\/\S+)\/$/m.exec(this.#stdout)
      if (announced !== null) return announced[1] as string
      await Promise.race([once(this.child.stdout as NodeJS.ReadableStream, 'data'), gone])
    }
  }

  /** What it said beside its address: at log level `error`, nothing that is no fault. */
  get complaints(): string {
    return this.#stdout.replace(/^fastify-sse-hub: open .*\n/m, '') + this.#stderr
  }

  /** Resolves with the exit code. */
  async ended(): Promise<number | null> {
    return (await this.#exit)[0]
  }

  /** The longest stall of its event loop between SIGTERM and its end, in milliseconds. */
  get longestStall(): number {
    return Number(readFileSync(this.#stalls, 'utf8'))
  }
}
