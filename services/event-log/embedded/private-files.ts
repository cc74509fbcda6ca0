import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
/** The root of a file system has this folder from the start. */
const LOST_AND_FOUND = 'lost+found'

/**
 * Creates the folder, and missing folders above it, readable by the owner only. Creates them one by one: the recursive `mkdir`
 * of Node reports ENOENT for any reason why a folder cannot be created.
 */
export function makePrivateFolder(path: string): void {
  try {
    mkdirSync(path, { mode: FOLDER_MODE })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const above = dirname(path)
    if (code === 'ENOENT' && above !== path) {
      makePrivateFolder(above)
      mkdirSync(path, { mode: FOLDER_MODE })
    } else if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}

/**
 * Restricts the folder and its files to their owner. Creates missing files, because LMDB would create them readable by
 * others. A folder with other files keeps its mode.
 * @param names the store's files.
 * @param made those that are created.
 * @returns one sentence about each mode that was changed, or that should be changed and cannot.
 */
export function makePrivate(folder: string, names: readonly string[], made: readonly string[]): string[] {
  // Windows has access control lists, and takes a mode for its read-only flag.
  if (process.platform === 'win32') return []
  const messages: string[] = []
  const report = (line: string | undefined) => line !== undefined && messages.push(line)
  const others = readdirSync(folder).filter((name) => !names.includes(name) && name !== LOST_AND_FOUND)
  if (others.length === 0) report(restrict(folder, FOLDER_MODE))
  else if (isOpen(folder, FOLDER_MODE))
    report(`${folder} keeps its mode, because it holds other files (${others.slice(0, 3).join(', ')})`)
  for (const name of made) closeSync(openSync(join(folder, name), 'a', FILE_MODE))
  for (const name of readdirSync(folder)) if (names.includes(name)) report(restrict(join(folder, name), FILE_MODE))
  return messages
}

function isOpen(path: string, mode: number): boolean {
  return (statSync(path).mode & 0o777 & ~mode) !== 0
}

function restrict(path: string, mode: number): string | undefined {
  const before = statSync(path).mode & 0o777
  if ((before & ~mode) === 0) return undefined
  const change = `${path} had the mode ${before.toString(8)}`
  // Rights are only taken away: a folder that its owner has made read-only stays so.
  const after = before & mode
  try {
    chmodSync(path, after)
    return `${change}, and has ${after.toString(8)} now: only its owner reads it`
  } catch (error) {
    return `${change}, which lets others read it and cannot be changed: ${(error as Error).message}`
  }
}
