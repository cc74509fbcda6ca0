import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Compiles `test/support/NAME.c` into a library for `LD_PRELOAD`. Returns undefined where that cannot be done. */
export function preloadedLibrary(folder: string, name: string): string | undefined {
  const library = join(folder, `${name}.so`)
  const source = join(import.meta.dirname, `${name}.c`)
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  return process.platform === 'linux' ? library : undefined
}
