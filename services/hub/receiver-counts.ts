import type { Cluster } from '../cluster/cluster.ts'
import { besidesInboxes, type Channel } from '../events/channel.ts'
import type { Target } from '../events/target.ts'
import type { OnlineUser } from './presence.ts'

/** The maximum number of users of a target whose streams a receipt lists. */
const MAX_USERS = 1_000

/** The users of a target whose streams are counted one by one: several of them, so that their sum does not say it. */
export function countedUsers({ users }: Target): readonly string[] | undefined {
  if (users === undefined || users.length < 2 || users.length > MAX_USERS) return undefined
  const distinct = [...new Set(users)]
  return distinct.length < 2 ? undefined : distinct
}

/** How many streams of the other nodes an event is addressed to: in all, and for each of several users. */
export interface CountsElsewhere {
  readonly streams: number
  readonly users: readonly number[]
}

interface Counted {
  readonly newEvent: { readonly channels: readonly Channel[]; readonly except?: readonly string[] | undefined }
  readonly users: readonly OnlineUser[] | undefined
}

/**
 * Counts the streams of the other nodes, for all publications in one query. A stream belongs to one user, so the counts of
 * several users add up to the count of a target that has nothing else.
 * @throws {ClusterUnavailableError}
 */
export async function countElsewhere(cluster: Cluster, publications: readonly Counted[]): Promise<CountsElsewhere[]> {
  const targets: (readonly Channel[])[] = []
  const except: (readonly string[])[] = []
  for (const { newEvent, users } of publications) {
    const before = targets.length
    if (!isSum(newEvent.channels, users)) targets.push(besidesInboxes(newEvent.channels))
    for (const { user } of users ?? []) targets.push([`u:${user}`])
    for (let at = before; at < targets.length; at++) except.push(newEvent.except ?? [])
  }
  const isExcepting = publications.some(({ newEvent }) => newEvent.except !== undefined)
  const counts = (await cluster.countListeners(targets, isExcepting ? except : undefined)).values()
  const next = () => counts.next().value ?? 0
  return publications.map(({ newEvent, users }) => {
    const streams = isSum(newEvent.channels, users) ? undefined : next()
    const ofUsers = (users ?? []).map(next)
    return { streams: streams ?? ofUsers.reduce((sum, count) => sum + count, 0), users: ofUsers }
  })
}

/** Whether the target has these users alone. */
function isSum(channels: readonly Channel[], users: readonly OnlineUser[] | undefined): boolean {
  return users !== undefined && besidesInboxes(channels).length === users.length
}
