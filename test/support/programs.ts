import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import type { Test } from 'tap'

/**
 * The reason why a test that needs a program is skipped, or false if the program runs. In CI, where everything is
 * installed, a missing program is an error.
 */
export function without(
  program: string,
  { version = '--version', install = `apt-get install ${program}` } = {}
): string | false {
  if (spawnSync(program, [version], { stdio: 'ignore' }).status === 0) return false
  return missing(`${program} is not installed: ${install}`)
}

/** The reason why tests are skipped on a machine that lacks something. In CI, where nothing is lacking, it is an error. */
export function missing(reason: string): string {
  if (process.env.CI === 'true') throw new Error(reason)
  return reason
}

/** Starts a program that works in a folder. The test ends it, and deletes the folder; the complaints are its standard error. */
export function startProgram(
  t: Test,
  [file, ...args]: readonly string[],
  { folder, env = {}, signal = 'SIGKILL' }: ProgramOptions
): { readonly child: ChildProcess; readonly complaints: () => string } {
  const child = spawn(file as string, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let complaints = ''
  child.stderr.on('data', (text) => {
    complaints += text
  })
  t.teardown(async () => {
    const gone = once(child, 'exit')
    if (child.exitCode === null && child.kill(signal)) await gone
    rmSync(folder, { recursive: true, force: true })
  })
  return { child, complaints: () => complaints }
}

interface ProgramOptions {
  readonly folder: string
  readonly env?: Readonly<Record<string, string>>
  readonly signal?: NodeJS.Signals
}

/** Skips the running test because the machine lacks something. In CI, where nothing is lacking, the test fails. */
export function skipTest(t: Test, why: string): void {
  if (process.env.CI === 'true') {
    t.fail(why)
    return
  }
  t.comment(why)
  t.pass(why, { skip: why })
}
