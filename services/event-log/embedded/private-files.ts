import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
/** What the root of a file system has by itself. */
const LOST_AND_FOUND = 'lost+found'

/**
 * Makes the folder, and those above it, unless they are there. Only its owner may look into it. Each is made by itself: the
 * recursive `mkdir` of Node reports ENOENT for whatever reason a folder cannot be made.
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
 * Lets only the owner of the folder and its files read them. Files are made if they are not there, because LMDB would let
 * others read them. A folder that holds other files as well keeps its mode.
 * @param names of the store's files.
 * @returns one sentence about each mode that was changed, or that should be and cannot.
 */
export function makePrivate(folder: string, names: readonly string[], made: readonly string[]): string[] {
  // Windows has access control lists, and takes a mode for its read-only flag.
  if (process.platform === 'win32') return []
  const messages: string[] = []
  const tell = (line: string | undefined) => line !== undefined && messages.push(line)
  const others = readdirSync(folder).filter((name) => !names.includes(name) && name !== LOST_AND_FOUND)
  if (others.length === 0) tell(restrict(folder, FOLDER_MODE))
  else if (isOpen(folder, FOLDER_MODE))
    tell(`${folder} keeps its mode, because it holds other files (${others.slice(0, 3).join(', ')})`)
  for (const name of made) closeSync(openSync(join(folder, name), 'a', FILE_MODE))
  for (const name of readdirSync(folder)) if (names.includes(name)) tell(restrict(join(folder, name), FILE_MODE))
  return messages
}

function isOpen(path: string, mode: number): boolean {
  return (statSync(path).mode & 0o777 & ~mode) !== 0
}

function restrict(path: string, mode: number): string | undefined {
  const before = statSync(path).mode & 0o777
  if ((before & ~mode) === 0) return undefined
  const change = `${path} had the mode ${before.toString(8)}`
  try {
    chmodSync(path, mode)
    return `${change}, and has ${mode.toString(8)} now: only its owner reads it`
  } catch (error) {
    return `${change}, which lets others read it and cannot be changed: ${(error as Error).message}`
  }
}
