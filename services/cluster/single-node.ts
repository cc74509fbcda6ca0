import type { Cluster } from './cluster.ts'

const NOBODY = { users: 0, streams: 0 }

/** A hub of one node. Nobody is told and nobody is asked. */
export const SINGLE_NODE: Cluster = {
  isSingleNode: true,
  isSettled: true,
  elsewhere: NOBODY,
  join: async () => {},
  opened: () => {},
  closed: () => {},
  reserve: async () => true,
  countListeners: async (targets) => targets.map(() => 0),
  countOfUser: async () => 0,
  ofUser: async () => [],
  users: async () => [],
  close: async () => 0,
  leave: async () => {}
}
