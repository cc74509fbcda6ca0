import { setTimeout as wait } from 'node:timers/promises'
import type { HubStats } from '../../services/hub/hub-stats.ts'
import type { Command } from './command-context.ts'
import { HubApi } from './hub-api.ts'
import { HUB_OPTIONS, numberOf, parse } from './options.ts'

const CLEAR = '\u001b[H\u001b[2J'

/** `top`: shows the counts of a node again and again. */
export const top: Command = async (args, context) => {
  const { values } = parse(args, { ...HUB_OPTIONS, interval: { type: 'string' }, count: { type: 'string' } })
  const interval = numberOf('interval', values.interval, 100, 3_600_000) ?? 2_000
  const count = numberOf('count', values.count, 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY
  const api = new HubApi(values, context)
  let before: HubStats | undefined
  let readAt = 0
  for (let shown = 1; !context.signal.aborted; shown++) {
    const stats = (await api.get('/stats')) as HubStats
    const now = performance.now()
    const rates = ratesOf(before ?? stats, stats, (now - readAt) / 1_000)
    if (values.json) context.print(JSON.stringify({ ...stats, rates }))
    else context.print((context.isTerminal ? CLEAR : '') + tableOf(stats, rates))
    if (shown >= count) return 0
    before = stats
    readAt = now
    await wait(interval, undefined, { signal: context.signal }).catch(() => undefined)
  }
  return 0
}

interface Rates {
  readonly published: number
  readonly opened: number
  readonly closed: number
  readonly refused: number
}

/** Per second. */
function ratesOf(before: HubStats, now: HubStats, seconds: number): Rates {
  const rate = (count: (stats: HubStats) => number) => Math.round(((count(now) - count(before)) / seconds) * 10) / 10
  return {
    published: rate(({ published }) => published),
    opened: rate(({ opened }) => opened),
    closed: rate(({ closed }) => sum(closed)),
    refused: rate(({ refused }) => sum(refused))
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, count) => all + count, 0)
}

function tableOf({ streams, users, cluster, log, closed, refused }: HubStats, rates: Rates): string {
  const rows: [string, string | number][] = [
    ['streams', `${streams} here, ${cluster.streams} in all`],
    ['users', `${users} here, ${cluster.users} in all`],
    ['published/s', rates.published],
    ['opened/s', rates.opened],
    ['closed/s', `${rates.closed}  ${named(closed)}`],
    ['refused/s', `${rates.refused}  ${named(refused)}`],
    ['log', `${log.kind}, ${log.events} events, ${log.bytes} bytes, ${log.channels} channels`]
  ]
  return rows.map(([name, value]) => `${name.padEnd(12)} ${value}`).join('\n')
}

/** The counts that are not zero. */
function named(counts: Readonly<Record<string, number>>): string {
  const found = Object.entries(counts).filter(([, count]) => count > 0)
  return found.length === 0 ? '' : `(${found.map(([name, count]) => `${name} ${count}`).join(', ')} in all)`
}
