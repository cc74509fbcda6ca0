import { bytes, number, problemText } from '../texts/texts.ts'
import { onlineUsers, settings, stats } from './api.ts'
import { CHECK_USER, type Check } from './check.ts'
import { rights } from './health.ts'

/** The share of a limit above which it counts as near. */
const NEAR = 0.8
/** Users whose streams are compared with the limit of a user. */
const MAX_USERS = 1_000

interface Usage {
  readonly name: Check['name']
  readonly used: number
  /** 0: no limit. Undefined: the node does not say. */
  readonly max: number | undefined
  readonly show: (value: number) => string
  readonly user?: string
}

/** Compares what the node uses with its limits. Credentials that may not read get no finding. */
export async function* checkLimits(): AsyncGenerator<Check> {
  if (rights.value?.read !== true) return
  try {
    yield* await compare()
  } catch (error) {
    yield { name: 'limitStreams', tone: 'end', finding: 'unknown', params: { problem: problemText(error) } }
  }
}

async function compare(): Promise<Check[]> {
  const [counts, inForce, online] = await Promise.all([stats(), settings(), onlineUsers({ limit: MAX_USERS })])
  const limit = (name: string) => numberOf(inForce[name])
  const users = online.users.filter(({ user }) => !user.startsWith(CHECK_USER))
  const [busiest] = users.sort((one, other) => other.streams - one.streams)
  const retention = (inForce.retention ?? {}) as Record<string, unknown>
  const usages: Usage[] = [
    { name: 'limitStreams', used: counts.streams, max: limit('maxStreams'), show: number },
    {
      ...{ name: 'limitUser', used: busiest?.streams ?? 0, max: limit('maxStreamsPerUser'), show: number },
      user: busiest?.user ?? '–'
    },
    { name: 'limitConnections', used: counts.connections.open, max: counts.connections.max ?? 0, show: number },
    { name: 'limitStorage', used: counts.log.bytes, max: numberOf(retention.bytes), show: bytes }
  ]
  return usages.flatMap((usage) => (usage.max === undefined ? [] : findingOf(usage, usage.max)))
}

const numberOf = (value: unknown) => (typeof value === 'number' ? value : undefined)

function findingOf({ name, used, show, user }: Usage, max: number): Check {
  const params = { used: show(used), max: show(max), percent: Math.floor((100 * used) / (max || 1)), user }
  if (max === 0) return { name, tone: 'good', finding: 'free', params }
  if (used < NEAR * max) return { name, tone: 'good', finding: 'used', params }
  return { name, tone: used < max ? 'wait' : 'bad', finding: 'near', params }
}
