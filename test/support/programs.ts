import { spawnSync } from 'node:child_process'
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
  const reason = `${program} is not installed: ${install}`
  if (process.env.CI === 'true') throw new Error(reason)
  return reason
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
