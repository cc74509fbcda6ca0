import { existsSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import type { Clock } from '../../clock.ts'
import { LogInUseError, LogStoreError, MissingPackageError } from '../../errors.ts'
import { newEpoch, newWitness } from '../../events/cursor.ts'
import { explainMissing } from '../../optional-package.ts'
import { randomText } from '../../random.ts'
import { newWitnessKey, Witnesses, type WitnessKeys, withKey } from '../witnesses.ts'
import { checkBeginning, checkFile } from './check-file.ts'
import { checkTables } from './check-tables.ts'
import { FolderWatch } from './folder-watch.ts'
import { OWNER_FILES, Ownership } from './ownership.ts'
import { makePrivate, makePrivateFolder } from './private-files.ts'
import type { StoreLogger } from './store-logger.ts'
import { newState, openTables, readState, type State, type Tables, WITNESS_KEYS, writeState } from './tables.ts'
import { commitElsewhere, commitHere, type Transaction } from './transactions.ts'

/** Identifies the content of the folder. It is written last when a store is created, so a store without it is unfinished. */
const STAMP = 'event-log.json'
const DATA = 'data.mdb'
/** The files that LMDB has open, the data first. */
const LMDB_FILES = [DATA, 'lock.mdb', ...OWNER_FILES]
const FORMAT = 'fastify-sse-hub event log'
const VERSION = 2
const OF_LOG = 'The embedded event log'
const WAY_OUT = 'Nothing in it was changed; restore it, or move the folder away to begin anew'

/** An open store: the only one of its folder. */
export interface Store {
  readonly folder: string
  readonly tables: Tables
  readonly epoch: string
  /** As it was last committed. */
  readonly state: State
  /** Generates the witnesses of new entries; the keys of all witnesses so far. */
  readonly witnesses: Witnesses
  readonly witnessKeys: WitnessKeys
  /** The random name under which this hub writes. */
  readonly owner: string
  /** Compares the open files with the folder. */
  readonly watch: FolderWatch
  readonly transaction: Transaction
  /** Resolves when everything committed is on the disk. */
  flush(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the store in a folder, or creates one.
 * @throws {LogInUseError | LogStoreError | MissingPackageError}
 */
export async function openStore(
  path: string,
  durability: 'sync' | 'process',
  clock: Clock,
  logger: StoreLogger
): Promise<Store> {
  const lmdb = await importLmdb()
  let folder = path
  try {
    makePrivateFolder(path)
    folder = realpathSync(path)
    const isNew = checkStamp(folder)
    for (const line of makePrivate(folder, [...LMDB_FILES, STAMP, `${STAMP}.new`], LMDB_FILES))
      logger.warn({ folder }, `the event log restricts its files to their owner: ${line}`)
    const ownership = await Ownership.take(lmdb.open, folder)
    return await openOwned({ folder, durability, isNew, clock }, lmdb, ownership)
  } catch (error) {
    if (error instanceof LogStoreError || error instanceof LogInUseError) throw error
    throw new LogStoreError(folder, (error as Error).message)
  }
}

interface OpenRequest {
  readonly folder: string
  readonly durability: 'sync' | 'process'
  readonly isNew: boolean
  readonly clock: Clock
}

async function openOwned(
  { folder, durability, isNew, clock }: OpenRequest,
  { open, ABORT }: typeof import('lmdb'),
  ownership: Ownership
): Promise<Store> {
  let root: RootDatabase | undefined
  const close = async () => {
    try {
      await root?.close()
    } finally {
      await ownership.release()
    }
  }
  try {
    checkData(folder, checkBeginning)
    root = open({
      ...{ path: folder, noSubdir: false, maxDbs: 32, pageSize: 4_096 },
      ...{ noSync: durability === 'process', overlappingSync: false },
      // Each batch is a transaction of its own, which begins only when the batch is complete.
      ...{ eventTurnBatching: false, batchStartThreshold: Number.POSITIVE_INFINITY }
    })
    const { lastTxnId } = root.getStats() as { lastTxnId: number }
    checkData(folder, (path) => checkFile(path, lastTxnId))
    const tables = openTables(root)
    const transaction = durability === 'sync' ? commitElsewhere(root, tables, ABORT) : commitHere(root, tables)
    const env = root
    const flush = () => flushed(env)
    const identity = await identify({ folder, tables, transaction, flush }, isNew, clock)
    const watch = new FolderWatch(folder, LMDB_FILES)
    return { folder, tables, ...identity, watch, transaction, flush, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Reads the identity of the store, or creates it, and records this hub as the owner, so that another hub notices. */
async function identify(
  { folder, tables, transaction, flush }: Pick<Store, 'folder' | 'tables' | 'transaction' | 'flush'>,
  isNew: boolean,
  clock: Clock
): Promise<Pick<Store, 'epoch' | 'state' | 'owner' | 'witnesses' | 'witnessKeys'>> {
  if (tables.meta.get('version') === undefined) {
    if (!isNew) throw new LogStoreError(folder, `it is damaged: its tables are empty. ${WAY_OUT}`)
    await transaction((tables) => {
      const epoch = newEpoch()
      tables.meta.putSync('version', VERSION)
      tables.meta.putSync('life', epoch)
      writeState(tables, newState(newWitness(epoch), clock.now()))
    })
  }
  if (isNew) {
    await flush()
    writeStamp(folder)
  }
  const epoch = tables.meta.get('life')
  const state = readState(tables)
  if (typeof epoch !== 'string' || state === undefined)
    throw new LogStoreError(folder, `it is damaged: its state is missing. ${WAY_OUT}`)
  try {
    checkTables(tables, state)
  } catch (error) {
    throw new LogStoreError(folder, `it is damaged: ${(error as Error).message}. ${WAY_OUT}`)
  }
  const owner = randomText(16)
  const key = newWitnessKey()
  const witnessKeys = withKey((tables.meta.get(WITNESS_KEYS) ?? []) as WitnessKeys, state.head + 1, key)
  const own = { epoch, owner, witnesses: new Witnesses(key), witnessKeys }
  const claimed = { ...state, owner }
  try {
    await transaction((tables) => {
      writeState(tables, claimed)
      tables.meta.putSync(WITNESS_KEYS, witnessKeys)
    })
  } catch {
    // On a full disk history can still be read. The first append claims the store, if there is space by then.
    return { ...own, state }
  }
  return { ...own, state: claimed }
}

/** Checks the data, if the file exists. */
function checkData(folder: string, check: (path: string) => void): void {
  const path = join(folder, DATA)
  try {
    if (existsSync(path) && statSync(path).size > 0) check(path)
  } catch (error) {
    throw new LogStoreError(folder, `it is damaged: ${(error as Error).message}. ${WAY_OUT}`)
  }
}

async function importLmdb(): Promise<typeof import('lmdb')> {
  const lmdb = await import('lmdb').catch(explainMissing(OF_LOG, 'lmdb'))
  // Any version satisfies the peer dependency, so that hosts with an older one can install the package.
  if (!('version' in lmdb)) throw new MissingPackageError(OF_LOG, 'lmdb 3', 'lmdb@3')
  return lmdb
}

/** Whether the folder has no finished store yet. */
function checkStamp(folder: string): boolean {
  const path = join(folder, STAMP)
  if (!existsSync(path)) return true
  let stamp: { format?: unknown; version?: unknown } | null
  try {
    stamp = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new LogStoreError(folder, `${STAMP} cannot be read: ${(error as Error).message}`)
  }
  if (stamp?.format !== FORMAT) throw new LogStoreError(folder, `${STAMP} does not belong to an event log`)
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
  writeFileSync(`${path}.new`, `${JSON.stringify({ format: FORMAT, version: VERSION })}\n`, {
    flush: true,
    mode: 0o600
  })
  renameSync(`${path}.new`, path)
}

function flushed(root: RootDatabase): Promise<void> {
  // The type declarations omit it.
  const { sync } = root as unknown as { sync(this: RootDatabase, done: (error?: unknown) => void): void }
  return new Promise((resolve, reject) => {
    sync.call(root, (error) => {
      if (error) reject(error instanceof Error ? error : new Error(String(error)))
      else resolve()
    })
  })
}
