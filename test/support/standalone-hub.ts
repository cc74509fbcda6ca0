import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ServerProcess } from './server-process.ts'

const PROBE = join(import.meta.dirname, 'stall-probe.mjs')

/** The compiled standalone hub, in a process of its own that measures the stalls of its event loop. */
export class StandaloneHub extends ServerProcess {
  readonly #stalls: string

  /** @param folder the result of {@link compiledHub}. */
  constructor(t: Test, folder: string, env: Record<string, string>) {
    const home = mkdtempSync(join(tmpdir(), 'stalls-'))
    const stalls = join(home, 'longest')
    const command = [process.execPath, '--import', PROBE, join(folder, 'server.js')]
    super(t, { STALL_FILE: stalls, ...env }, command)
    t.teardown(() => rmSync(home, { recursive: true, force: true }))
    this.#stalls = stalls
  }

  /** Its output beside the address: at log level `error`, only faults. */
  get complaints(): string {
    return this.stdout.replace(/^fastify-sse-hub: open .*\n/m, '') + this.stderr
  }

  /** The longest stall of its event loop between SIGTERM and its end, in milliseconds. */
  get longestStall(): number {
    return Number(readFileSync(this.#stalls, 'utf8'))
  }
}
