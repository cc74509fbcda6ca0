import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Hub } from '../services/hub/hub.ts'

/** How often incidents are logged, in milliseconds: an outage must not log a line per stream and second. */
const INTERVAL = 10_000
/** Refusals that the guard of the connections does not report itself. */
const REFUSALS = ['unauthenticated', 'forbidden', 'rateLimited', 'limit', 'error'] as const
/** Close reasons that are an incident. */
const CLOSES = ['slow', 'error'] as const

type Counts = Readonly<Record<string, number>>

/**
 * Logs what happens to streams: a line each for those that open and close, at level `debug`, and one line in ten seconds with the
 * numbers of refusals, slow clients, gaps, discontinuities and failed reads, at level `warn`.
 */
async function activity(app: FastifyInstance): Promise<void> {
  const { sse: hub, log } = app
  if (['debug', 'trace'].includes(log.level)) logStreams(hub, log)
  let before = incidentsOf(hub)
  const stop = hub.options.clock.every(INTERVAL, () => {
    const now = incidentsOf(hub)
    const since = differences(before, now)
    before = now
    if (since !== undefined) log.warn({ ...since, seconds: INTERVAL / 1_000 }, 'incidents of streams')
  })
  app.addHook('onClose', async () => stop())
}

type EventfulHub = Pick<FastifyInstance['sse'], 'on' | 'options' | 'stats'>

function logStreams(hub: EventfulHub, log: FastifyBaseLogger): void {
  hub.on('open', ({ id, user, topics }) =>
    log.debug({ stream: id, user, topics: topics.length }, 'a stream was opened')
  )
  hub.on('close', ({ id, user, since }, reason) => {
    log.debug({ stream: id, user, reason, age: hub.options.clock.now() - since }, 'a stream was closed')
  })
}

function incidentsOf(hub: FastifyInstance['sse']): Counts {
  const { refused, closed } = hub.stats()
  const { gaps, discontinuities, readErrors } = (hub as unknown as Hub).manager.counts
  return {
    ...Object.fromEntries(REFUSALS.map((reason) => [`refused ${reason}`, refused[reason]])),
    ...Object.fromEntries(CLOSES.map((reason) => [`closed ${reason}`, closed[reason]])),
    ...Object.fromEntries(Object.entries(gaps).map(([reason, count]) => [`gap ${reason}`, count])),
    discontinuities,
    readErrors
  }
}

/** The counts that have grown, and by how much; undefined if none has. */
function differences(before: Counts, now: Counts): Counts | undefined {
  const grown = Object.entries(now).flatMap(([name, count]): [string, number][] => {
    const more = count - (before[name] ?? 0)
    return more > 0 ? [[name, more]] : []
  })
  return grown.length === 0 ? undefined : Object.fromEntries(grown)
}

export const activityLog = fp(activity, { fastify: '5.x', name: 'fastify-sse-hub-activity-log' })
