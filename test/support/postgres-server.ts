import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { missing } from './programs.ts'

const run = promisify(execFile)

/** Debian keeps the programs of each version in a folder of its own, outside of the path. */
const VERSIONS = '/usr/lib/postgresql'
const BIN = existsSync(VERSIONS)
  ? readdirSync(VERSIONS)
      .sort((one, other) => Number(other) - Number(one))
      .map((version) => join(VERSIONS, version, 'bin'))
      .find((folder) => existsSync(join(folder, 'initdb')))
  : undefined

/** The reason why tests that need a Postgres are skipped, or false. In CI a missing Postgres is an error. */
export const withoutPostgres: string | false =
  BIN === undefined && missing('Postgres is not installed: apt-get install postgresql')

/** A Postgres for one test, on a socket of its own, in a folder that is deleted with it. */
export class PostgresServer {
  readonly url: string
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    this.url = `postgres:///postgres?host=${folder}&user=postgres`
  }

  static async start(t: Test): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'sse-hub-postgres-'))
    // Postgres refuses to run as root, as which CI runs.
    const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : undefined
    if (user !== undefined) chownSync(folder, user.uid, user.gid)
    const data = join(folder, 'data')
    const args = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale', 'C']
    await run(join(BIN as string, 'initdb'), args, { ...user, cwd: folder })
    const settings = ['fsync=off', 'listen_addresses=', `unix_socket_directories=${folder}`]
    const child = spawn(join(BIN as string, 'postgres'), ['-D', data, ...settings.flatMap((each) => ['-c', each])], {
      ...user,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe']
    })
    t.teardown(async () => {
      const gone = once(child, 'exit')
      // Ends it at once, without waiting for clients.
      if (child.exitCode === null && child.kill('SIGQUIT')) await gone
      rmSync(folder, { recursive: true, force: true })
    })
    await ready(child)
    return new PostgresServer(folder)
  }

  /** Runs statements, and returns what they select, a row a line. */
  async query(sql: string): Promise<string> {
    const args = ['-h', this.#folder, '-U', 'postgres', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1', '-qAt', '-c', sql]
    return (await run(join(BIN as string, 'psql'), args)).stdout.trim()
  }

  /** A session that keeps its transaction open until its input ends. */
  session(): ChildProcess {
    const args = ['-h', this.#folder, '-U', 'postgres', '-d', 'postgres', '-qAt']
    return spawn(join(BIN as string, 'psql'), args, { stdio: ['pipe', 'pipe', 'inherit'] })
  }
}

function idOf(option: string): number {
  return Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }))
}

async function ready(child: ChildProcess): Promise<void> {
  let log = ''
  const stderr = child.stderr as NodeJS.ReadableStream
  while (!log.includes('database system is ready to accept connections')) {
    const [text] = (await Promise.race([once(stderr, 'data'), once(stderr, 'end')])) as [Buffer | undefined]
    if (text === undefined) throw new Error(`Postgres ended: ${log}`)
    log += text
  }
  // Read on, so that a full pipe does not stop it.
  stderr.resume()
}
