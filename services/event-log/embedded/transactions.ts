import type { Database, Key, RootDatabase } from 'lmdb'
import type { Table, Tables } from './tables.ts'

/**
 * Runs all of the body, or, if it throws, nothing of it; the body reads what it has written, others what was committed before.
 * When the promise is fulfilled, what the body did outlives the process, and with durability `sync` it is on the disk. One at
 * a time: the next is begun when the promise of the one before is settled.
 */
export type Transaction = <Result>(body: (tables: Tables) => Result) => Promise<Result>

type Flags = Parameters<RootDatabase['transactionSync']>[1]
/** Abort the transaction if its body throws, and commit before it returns: to the disk, unless the store is opened without. */
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
 * Commits on a thread of LMDB's, so that the event loop turns while the disk is waited for. That thread only takes rows to put
 * and to remove, while the body has to read what it wrote. So the body runs in a transaction on this thread, which is aborted
 * and writes nothing; what it changed is noted, and done again over there, where nobody else has written meanwhile.
 */
export function commitElsewhere(root: RootDatabase, tables: Tables, abort: object): Transaction {
  let changes: Change[] = []
  const noted = notingTables(tables, (change) => changes.push(change))
  const here = commitHere(root, tables)
  let hasFailed = false
  return async (body) => {
    // A commit that fails over there is written to the standard error by LMDB itself, whoever handles it. Once is enough.
    if (hasFailed) {
      const result = await here(body)
      hasFailed = false
      return result
    }
    changes = []
    const results: ReturnType<typeof body>[] = []
    root.transactionSync(() => {
      results.push(body(noted))
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

/** Nothing in here may throw: LMDB would commit what came before it. All of it went well a moment ago. */
async function replay(root: RootDatabase, changes: readonly Change[]): Promise<void> {
  await root.batch(() => {
    for (const { table, key, row } of changes) {
      if (row === undefined) table.remove(key)
      else table.put(key, row)
    }
  })
}

/** Why a commit has failed is told beside the error, and later. */
async function causeOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError
    return error
  } catch (cause) {
    return cause
  }
}

function notingTables(tables: Tables, note: (change: Change) => void): Tables {
  const noting = Object.entries(tables).map(([name, table]) => [name, notingTable(table, note)])
  return Object.fromEntries(noting)
}

function notingTable<Row, K extends Key>(table: Database<Row, K>, note: (change: Change) => void): Table<Row, K> {
  const of = table as unknown as Database<unknown, Key>
  return {
    get: (key) => table.get(key),
    getKeys: (range) => table.getKeys(range),
    getRange: (range) => table.getRange(range),
    getKeysCount: (range) => table.getKeysCount(range),
    putSync(key, row) {
      table.putSync(key, row)
      note({ table: of, key, row })
    },
    removeSync(key) {
      note({ table: of, key, row: undefined })
      return table.removeSync(key)
    }
  }
}
