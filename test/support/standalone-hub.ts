import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ServerProcess } from './server-process.ts'

const PROBE = join(import.meta.dirname, 'stall-probe.mjs')

/** The standalone hub as compiled, in a process of its own that measures how long its event loop stands still. */
export class StandaloneHub extends ServerProcess {
  readonly #stalls: string

  /** @param folder what {@link compiledHub} returned. */
  constructor(t: Test, folder: string, env: Record<string, string>) {
    const home = mkdtempSync(join(tmpdir(), 'stalls-'))
    const stalls = join(home, 'longest')
    const command = [process.execPath, '--import', PROBE, join(folder, 'server.js')]
    super(t, { STALL_FILE: stalls, ...env }, command)
    t.teardown(() => rmSync(home, { recursive: true, force: true }))
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
