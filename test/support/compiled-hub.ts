import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const ROOT = join(import.meta.dirname, '..', '..')
const DAY = 86_400_000
const BUILDS = join(ROOT, '.tap', 'builds')
/** Folders that no build reads. */
const OTHER_FOLDERS = ['bench', 'coverage', 'dist', 'docs', 'examples', 'node_modules', 'test']

/**
 * Compiles the hub as `npm start` does, and returns the folder. Compiled processes start at once and run as fast as a
 * user's. All tests share one folder while the source is unchanged.
 */
export async function compiledHub(): Promise<string> {
  const sources = sourceFiles()
  const hash = createHash('sha256')
  for (const path of sources)
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(ROOT, path)))
      .update('\0')
  const folder = join(BUILDS, hash.digest('hex').slice(0, 32))
  if (!existsSync(folder)) await compile(folder)
  return folder
}

function sourceFiles(): string[] {
  const folders = readdirSync(ROOT, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !entry.name.startsWith('.') && !OTHER_FOLDERS.includes(entry.name)
  )
  const inFolders = folders.flatMap(({ name }) =>
    readdirSync(join(ROOT, name), { recursive: true, encoding: 'utf8' }).map((path) => join(name, path))
  )
  return [...readdirSync(ROOT), ...inFolders]
    .filter((path) => /\.(ts|tsx|mjs|json|lua|css|html|svg)$/.test(path))
    .sort()
}

async function compile(folder: string): Promise<void> {
  mkdirSync(BUILDS, { recursive: true })
  removeOldBuilds()
  const partial = mkdtempSync(join(BUILDS, 'partial-'))
  await promisify(execFile)(process.execPath, [join(ROOT, 'scripts', 'build.mjs'), partial], { cwd: ROOT })
  try {
    renameSync(partial, folder)
  } catch (error) {
    rmSync(partial, { recursive: true })
    // Another test built the same source first.
    if (!existsSync(folder)) throw error
  }
}

/** Without this, a build for each state of the source would fill the disk. */
function removeOldBuilds(): void {
  for (const name of readdirSync(BUILDS)) {
    const path = join(BUILDS, name)
    if (statSync(path).mtimeMs < Date.now() - DAY) rmSync(path, { recursive: true, force: true })
  }
}
