import type { Database, Key, RootDatabase } from 'lmdb'
import type { Table, Tables } from './tables.ts'

/**
 * Commits all changes of the body, or none if it throws. The body reads its own writes; other readers see the last commit.
 * When the promise is fulfilled, the changes survive the process, and with durability `sync` they are on the disk. One at a
 * time: the caller begins the next when the promise of the previous one is settled.
 */
export type Transaction = <Result>(body: (tables: Tables) => Result) => Promise<Result>

type Flags = Parameters<RootDatabase['transactionSync']>[1]
/** Aborts the transaction if its body throws; commits before it returns, to the disk unless the store has `noSync`. */
const ABORTABLE = 3 as Flags

interface Change {
  readonly table: Database<unknown, Key>
  readonly key: Key
  /** Undefined if the row is removed. */
  readonly row: unknown
}

/** Commits on this thread. */
export function commitHere(root: RootDatabase, tables: Tables): Transaction {
  return async (body) => root.transactionSync(() => body(tables), ABORTABLE)
}

/**
 * Commits on LMDB's own thread, so that the disk does not block the event loop. That thread only takes rows to put and to
 * remove, while the body has to read its own writes. So the body runs in a transaction on this thread, which is aborted and
 * writes nothing; its changes are recorded and repeated on the other thread, with no other write in between.
 */
export function commitElsewhere(root: RootDatabase, tables: Tables, abort: object): Transaction {
  let changes: Change[] = []
  const recorded = recordingTables(tables, (change) => changes.push(change))
  const here = commitHere(root, tables)
  let hasFailed = false
  return async (body) => {
    // LMDB writes a failed commit of its thread to standard error, even if it is handled. Retries stay here to avoid repeats.
    if (hasFailed) {
      const result = await here(body)
      hasFailed = false
      return result
    }
    changes = []
    const results: ReturnType<typeof body>[] = []
    root.transactionSync(() => {
      results.push(body(recorded))
      return abort
    }, ABORTABLE)
    try {
      await replay(root, changes)
    } catch (error) {
      hasFailed = true
      throw await causeOf(error)
    }
    return results[0] as ReturnType<typeof body>
  }
}

/** Nothing in here may throw: LMDB would commit the changes before it. All of them have just succeeded on this thread. */
async function replay(root: RootDatabase, changes: readonly Change[]): Promise<void> {
  await root.batch(() => {
    for (const { table, key, row } of changes) {
      if (row === undefined) table.remove(key)
      else table.put(key, row)
    }
  })
}

/** LMDB reports the cause of a failed commit in a property of the error, and later. */
async function causeOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError
    return error
  } catch (cause) {
    return cause
  }
}

function recordingTables(tables: Tables, record: (change: Change) => void): Tables {
  const recording = Object.entries(tables).map(([name, table]) => [name, recordingTable(table, record)])
  return Object.fromEntries(recording)
}

function recordingTable<Row, K extends Key>(table: Database<Row, K>, record: (change: Change) => void): Table<Row, K> {
  const of = table as unknown as Database<unknown, Key>
  return {
    get: (key) => table.get(key),
    getKeys: (range) => table.getKeys(range),
    getRange: (range) => table.getRange(range),
    getKeysCount: (range) => table.getKeysCount(range),
    putSync(key, row) {
      table.putSync(key, row)
      record({ table: of, key, row })
    },
    removeSync(key) {
      record({ table: of, key, row: undefined })
      return table.removeSync(key)
    }
  }
}
