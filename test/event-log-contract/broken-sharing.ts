import type { Receipt } from '../../services/event-log/event-log.ts'
import { formatCursor, newEpoch } from '../../services/events/cursor.ts'
import { type BrokenLog, changeDispatched, Log, withKey } from './broken-log.ts'

export const SHARING: readonly BrokenLog[] = [
  {
    fault: 'dispatches transient events only on the node that appended them',
    caughtBy: 'dispatches the events of any node to the listeners of all, once and in one order',
    spoil(log) {
      const mine = new Set<string>()
      log.append = (drafts) => {
        for (const { data } of drafts) mine.add(data)
        return Log.append.call(log, drafts)
      }
      changeDispatched(log, (events) => events.filter(({ id, data }) => id !== null || mine.has(data)))
    }
  },
  {
    fault: 'interleaves the batches of several nodes',
    caughtBy: 'gives the batches of all nodes numbers of one sequence, with nothing between',
    spoil(log) {
      log.append = async (drafts) => {
        const receipts: Receipt[] = []
        for (const draft of drafts) receipts.push(...(await Log.append.call(log, [draft])))
        return receipts
      }
    }
  },
  {
    fault: 'reads on each node only what its tail has seen',
    caughtBy: 'shows what one node appended to readers of the others once the append is fulfilled',
    spoil(log) {
      let seen = log.store.state.head.seq
      log.append = async (drafts) => {
        const receipts = await Log.append.call(log, drafts)
        seen = log.store.state.head.seq
        return receipts
      }
      log.read = async (query) => {
        const page = await Log.read.call(log, query)
        return { ...page, events: page.events.filter(({ cursor }) => cursor !== null && cursor.seq <= seen) }
      }
    }
  },
  {
    fault: 'reads on each node a stale head',
    caughtBy: 'never dispatches an event on one node before a reader there sees it',
    spoil(log) {
      let seen = log.store.state.head.seq
      log.wake = () => {
        Log.wake.call(log)
        const { seq } = log.store.state.head
        setTimeout(() => {
          seen = seq
        }, 5)
      }
      log.read = async (query) => {
        const page = await Log.read.call(log, query)
        return { ...page, events: page.events.filter(({ cursor }) => cursor !== null && cursor.seq <= seen) }
      }
    }
  },
  {
    fault: 'recognises on each node only its own idempotency keys',
    caughtBy: 'appends one event when several nodes come with the same key',
    spoil(log) {
      const name = newEpoch()
      log.append = (drafts) =>
        Log.append.call(
          log,
          drafts.map((draft) => withKey(draft, (key) => name + key))
        )
    }
  },
  {
    fault: 'recognises on each node only its own cursors',
    caughtBy: 'resumes on one node a stream of another node, and reports the same gaps',
    spoil(log) {
      const mine = new Set<string | null>()
      log.append = async (drafts) => {
        const receipts = await Log.append.call(log, drafts)
        for (const { id } of receipts) mine.add(id)
        return receipts
      }
      log.read = async (query) => {
        const { from } = query
        const isMine = typeof from !== 'object' || 'last' in from || from.seq === 0 || mine.has(formatCursor(from))
        const page = await Log.read.call(log, query)
        return isMine ? page : { ...page, gap: 'diverged' }
      }
    }
  },
  {
    fault: 'collapses on each node only its own events',
    caughtBy: 'collapses with what other nodes appended',
    spoil(log) {
      const name = newEpoch()
      log.append = (drafts) =>
        Log.append.call(
          log,
          drafts.map((draft) => ({ ...draft, collapseKey: draft.collapseKey && name + draft.collapseKey }))
        )
    }
  },
  {
    fault: 'closes the store when one node is closed',
    caughtBy: 'goes on when another node is closed, and lets a new one join',
    spoil(log) {
      log.close = async () => {
        for (const node of [...log.store.nodes]) await Log.close.call(node)
      }
    }
  }
]
