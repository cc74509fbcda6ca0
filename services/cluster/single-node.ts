import type { Cluster } from './cluster.ts'

const NONE = { users: 0, streams: 0 }

/** The cluster of a hub with one node: all commands and queries are no-ops. */
export const SINGLE_NODE: Cluster = {
  isSingleNode: true,
  isSettled: true,
  elsewhere: NONE,
  join: async () => {},
  opened: () => {},
  closed: () => {},
  reserve: async () => true,
  countListeners: async (targets) => targets.map(() => 0),
  countOfUser: async () => 0,
  ofUser: async () => [],
  users: async () => [],
  close: async () => 0,
  hold: async () => Number.POSITIVE_INFINITY,
  release: async () => {},
  leave: async () => {}
}
