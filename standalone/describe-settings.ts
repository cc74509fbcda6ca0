import type { Scopes } from '../services/access/scopes.ts'
import { resolveOptions } from '../services/hub/options.ts'
import type { AuthenticationSettings } from './access-settings.ts'
import type { Environment } from './environment.ts'
import { isRedisUrl } from './values.ts'

/** All settings in force, defaults included and secrets left out, for the log and `--print-config`. */
export function describeSettings(environment: Environment): Record<string, unknown> {
  const { authentication, webhooks, store, isDefaultStore: _, openingRate, tls, retention, ...rest } = environment
  const { maxStreams, maxStreamsPerUser, maxStreamsPerAddress, maxEventBytes, presenceGrace } = environment
  const { heartbeatInterval, reconnectionTime, maxStreamAge, stallTimeout } = environment
  const hub = resolveOptions({
    ...{ maxStreams, maxStreamsPerUser, maxStreamsPerAddress, maxEventBytes, presenceGrace, openingRate, retention },
    ...{ heartbeatInterval, reconnectionTime, maxStreamAge, stallTimeout }
  })
  const inForce = (name: string) => rest[name as keyof typeof rest] ?? hub[name as keyof typeof hub] ?? 'default'
  return {
    ...Object.fromEntries(Object.keys(rest).map((name) => [name, inForce(name)])),
    openingRate: hub.openingRate,
    retention: hub.retention,
    store: withoutPassword(store),
    tls: tls === undefined ? 'off' : 'on',
    authentication: authentication === undefined ? 'none' : describeKeys(authentication),
    webhooks: webhooks === undefined ? 'off' : { to: webhooks.url.origin, unreadAfter: webhooks.unreadAfter ?? 'off' }
  }
}

/** The same for callers of the HTTP API who may read: without the names of keys. */
export function publicSettings(environment: Environment): Record<string, unknown> {
  return { ...describeSettings(environment), authentication: environment.authentication === undefined ? 'none' : 'on' }
}

/** A URL without its user, its password and its query; a folder as it is. */
function withoutPassword(store: string): string {
  if (!isRedisUrl(store)) return store
  const [url = ''] = store.split('?')
  return `${url.slice(0, url.indexOf('://') + 3)}${url.slice(Math.max(url.indexOf('://') + 3, url.lastIndexOf('@') + 1))}`
}

/** The keys by their names, and how many there are of those without a name. */
export function describeKeys({ apiKeys, subscribers, publishers, cookie }: AuthenticationSettings): object {
  return {
    apiKeys: apiKeys.map(({ id, scopes }) => `${id}: ${describeScopes(scopes)}`),
    subscriberKeys: subscribers?.keys.length ?? 0,
    publisherKeys: publishers?.keys.length ?? 0,
    cookie: cookie ?? 'none'
  }
}

function describeScopes({ users, topics, ...flags }: Scopes): string {
  const on = Object.entries(flags).flatMap(([name, isOn]) => (isOn ? [name] : []))
  const names = [
    ...users.map(({ text, isPrefix }) => `user:${text}${isPrefix ? '*' : ''}`),
    ...topics.map(({ text, isPrefix }) => `topic:${text}${isPrefix ? '*' : ''}`)
  ]
  return [...on, ...names].join(',')
}
