import { existsSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '..', '..', 'dist', 'console')

/** Builds the console, unless `npm run build` has: hubs that run from the sources serve that build. */
export async function buildConsoleOnce(): Promise<void> {
  if (existsSync(FOLDER)) return
  // @ts-expect-error: the script is not typed.
  const { buildConsole } = await import('../../scripts/build-console.mjs')
  await buildConsole(FOLDER)
}
