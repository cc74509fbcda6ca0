import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { ServerProcess } from './server-process.ts'

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

/** The standalone hub as compiled, in a process of its own that measures how long its event loop stands still. */
export class StandaloneHub extends ServerProcess {
  readonly #stalls: string

  /** @param folder what {@link compileHub} returned. */
  constructor(t: Test, folder: string, env: Record<string, string>) {
    const stalls = join(mkdtempSync(join(folder, 'stalls-')), 'longest')
    const command = [process.execPath, '--import', PROBE, join(folder, 'server.js')]
    super(t, { STALL_FILE: stalls, ...env }, command)
    this.#stalls = stalls
  }

  /** What it said beside its address: at log level `error`, nothing that is no fault. */
  get complaints(): string {
    return this.stdout.replace(/^fastify-sse-hub: open .*\n/m, '') + this.stderr
  }

  /** The longest stall of its event loop between SIGTERM and its end, in milliseconds. */
  get longestStall(): number {
    return Number(readFileSync(this.#stalls, 'utf8'))
  }
}
