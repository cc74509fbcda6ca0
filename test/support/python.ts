import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'

/** A Python installation, or the reason why it is missing. */
export type Python = { readonly path: string; readonly missing: false } | { readonly missing: string }

/** Installs Python with some packages from PyPI in a folder that is removed when the test ends. CI requires it. */
export function installPython(t: Test, packages: readonly string[]): Python {
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-python-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'bin', 'python')
  const steps: [string, string[], string][] = [
    ['python3', ['-m', 'venv', folder], 'python3 with venv is not installed: apt-get install python3-venv'],
    [path, ['-m', 'pip', 'install', '-q', ...packages], `pip cannot install ${packages.join(', ')}`]
  ]
  for (const [command, args, missing] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000 })
    if (status === 0) continue
    if (process.env.CI === 'true') throw new Error(`${missing}: ${stderr}`)
    return { missing }
  }
  return { path, missing: false }
}

/** A Python program that runs until the test ends; its lines are read one by one. */
export class PythonProgram {
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>
  #complaints = ''

  constructor(t: Test, python: string, program: string, args: readonly string[]) {
    this.#process = spawn(python, ['-u', '-c', program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process.stderr?.on('data', (text) => {
      this.#complaints += text
    })
    const stdout = this.#process.stdout as NodeJS.ReadableStream
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
    t.teardown(async () => {
      if (this.#process.exitCode !== null || !this.#process.kill('SIGKILL')) return
      await once(this.#process, 'close')
    })
  }

  /** The next line, which must arrive within `patience` milliseconds; undefined after the last. */
  async line(patience: number): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no line in ${patience} ms; ${this.#complaints}`)), patience)
    })
    try {
      const { value, done } = await Promise.race([this.#lines.next(), tooLate])
      return done ? undefined : value
    } finally {
      clearTimeout(timer)
    }
  }
}
