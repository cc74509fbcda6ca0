import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statfsSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import type { Clock } from '../../clock.ts'
import { newLife, newWitness } from '../../cursor.ts'
import { LogStoreError, MissingPackageError } from '../../errors.ts'
import { checkBeginning, checkFile } from './check-file.ts'
import { Ownership } from './ownership.ts'
import { newState, openTables, readState, type State, type Tables, writeState } from './tables.ts'
import { commitElsewhere, commitHere, type Transaction } from './transactions.ts'

/** Says what the folder holds. It is written last when a store is made, so without it a store was never finished. */
const STAMP = 'event-log.json'
const DATA = 'data.mdb'
const FORMAT = 'fastify-sse-hub event log'
const VERSION = 2
const OF_LOG = 'The embedded event log'
const WAY_OUT = 'Nothing in it was changed; restore it, or move the folder away to begin anew'

/** An open store: the only one of its folder. */
export interface Store {
  readonly folder: string
  readonly tables: Tables
  readonly life: string
  readonly state: State
  readonly transaction: Transaction
  /** Resolves when all that was committed is on the disk. */
  flush(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the store in a folder, or makes one.
 * @throws {LogInUseError | LogStoreError | MissingPackageError}
 */
export async function openStore(path: string, durability: 'sync' | 'process', clock: Clock): Promise<Store> {
  const { open, ABORT } = await importLmdb()
  const folder = makeFolder(path)
  const isNew = checkStamp(folder)
  const ownership = Ownership.take(open, folder)
  let root: RootDatabase | undefined
  try {
    checkData(folder, checkBeginning)
    root = open({
      ...{ path: folder, noSubdir: false, maxDbs: 32, pageSize: 4_096 },
      ...{ noSync: durability === 'process', overlappingSync: false },
      // A batch is committed by itself, and not begun before it is complete.
      ...{ eventTurnBatching: false, batchStartThreshold: Number.POSITIVE_INFINITY }
    })
    const { lastTxnId } = root.getStats() as { lastTxnId: number }
    checkData(folder, (path) => checkFile(path, lastTxnId))
    const tables = openTables(root)
    const transaction = durability === 'sync' ? commitElsewhere(root, tables, ABORT) : commitHere(root, tables)
    return await openedStore({ folder, root, tables, transaction, ownership }, isNew, clock)
  } catch (error) {
    await root?.close()
    await ownership.release()
    throw error instanceof LogStoreError ? error : new LogStoreError(folder, (error as Error).message)
  }
}

interface Opened extends Pick<Store, 'folder' | 'tables' | 'transaction'> {
  readonly root: RootDatabase
  readonly ownership: Ownership
}

async function openedStore(opened: Opened, isNew: boolean, clock: Clock): Promise<Store> {
  const { folder, root, tables, transaction, ownership } = opened
  const flush = () => flushed(root)
  if (tables.meta.get('version') === undefined) {
    if (!isNew) throw new LogStoreError(folder, `it is damaged: its tables are empty. ${WAY_OUT}`)
    await transaction((tables) => {
      const life = newLife()
      tables.meta.putSync('version', VERSION)
      tables.meta.putSync('life', life)
      writeState(tables, newState(newWitness(life), clock.now()))
    })
  }
  if (isNew) {
    await flush()
    writeStamp(folder)
  }
  const life = tables.meta.get('life')
  const state = readState(tables)
  if (typeof life !== 'string' || state === undefined)
    throw new LogStoreError(folder, `it is damaged: it does not know itself. ${WAY_OUT}`)
  const close = async () => {
    await root.close()
    await ownership.release()
  }
  return { folder, tables, life, state, transaction, flush, close }
}

/** Checks the data, unless there is none yet. */
function checkData(folder: string, check: (path: string) => void): void {
  const path = join(folder, DATA)
  try {
    if (existsSync(path) && statSync(path).size > 0) check(path)
  } catch (error) {
    throw new LogStoreError(folder, `it is damaged: ${(error as Error).message}. ${WAY_OUT}`)
  }
}

async function importLmdb(): Promise<typeof import('lmdb')> {
  try {
    const lmdb = await import('lmdb')
    // The package admits any version, so that a host with an older one can be installed.
    if (!('version' in lmdb)) throw new MissingPackageError(OF_LOG, 'lmdb 3', 'lmdb@3')
    return lmdb
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ERR_MODULE_NOT_FOUND') throw new MissingPackageError(OF_LOG, 'lmdb', 'lmdb')
    throw error
  }
}

function makeFolder(path: string): string {
  try {
    mkdirSync(path, { recursive: true })
    return realpathSync(path)
  } catch (error) {
    throw new LogStoreError(path, (error as Error).message)
  }
}

/** Whether there is no finished store yet. */
function checkStamp(folder: string): boolean {
  const path = join(folder, STAMP)
  if (!existsSync(path)) return true
  let stamp: { format?: unknown; version?: unknown } | null
  try {
    stamp = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new LogStoreError(folder, `${STAMP} cannot be read: ${(error as Error).message}`)
  }
  if (stamp?.format !== FORMAT) throw new LogStoreError(folder, `${STAMP} is not of an event log`)
  if (stamp.version !== VERSION) {
    throw new LogStoreError(
      folder,
      `it is of version ${JSON.stringify(stamp.version)}, and this hub reads version ${VERSION}; use the hub that wrote it`
    )
  }
  if (!existsSync(join(folder, DATA)) || statSync(join(folder, DATA)).size === 0)
    throw new LogStoreError(folder, `it is damaged: ${DATA} is gone. ${WAY_OUT}`)
  return false
}

function writeStamp(folder: string): void {
  const path = join(folder, STAMP)
  writeFileSync(`${path}.new`, `${JSON.stringify({ format: FORMAT, version: VERSION })}\n`, { flush: true })
  renameSync(`${path}.new`, path)
}

function flushed(root: RootDatabase): Promise<void> {
  // The type declarations leave it out.
  const { sync } = root as unknown as { sync(this: RootDatabase, done: (error?: unknown) => void): void }
  return new Promise((resolve, reject) => {
    sync.call(root, (error) => {
      if (error) reject(error instanceof Error ? error : new Error(String(error)))
      else resolve()
    })
  })
}

/** Whether the folder's disk has less room left than this, in bytes. */
export function hasLessRoom(folder: string, bytes: number): boolean {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize < bytes
}
