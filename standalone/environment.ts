import { isIP } from 'node:net'
import type { Retention } from '../services/event-log/retention.ts'
import { readRedisUrl } from '../services/redis/url.ts'
import { type Access, readAccess } from './access-settings.ts'
import { withSettingFiles } from './setting-files.ts'
import { SETTING_NAMES } from './setting-list.ts'
import { fail, isRedisUrl, oneOf, splitList, type Variables, wholeNumber } from './values.ts'
import { readWebhooks, type WebhookSettings } from './webhooks/webhook-settings.ts'
import { readWorkers } from './workers/worker-count.ts'

/** The settings of the standalone hub, read from the environment, checked, and with defaults filled in. */
export interface Environment extends Access {
  readonly host: string
  readonly port: number
  readonly logLevel: string
  readonly corsOrigins: readonly string[]
  readonly trustProxy: boolean | number | string[]
  /** Paths of the certificate and key; with them the hub serves HTTPS and HTTP/2. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  /** See `HubAppOptions.metrics`. */
  readonly metrics: 'on' | 'open' | 'off'
  /** Whether the hub traces with OpenTelemetry. */
  readonly tracing: 'on' | 'off'
  readonly heartbeatInterval: number | undefined
  readonly reconnectionTime: number | undefined
  /** How long the hub serves on, not ready, after a signal to stop, in milliseconds. */
  readonly drainDelay: number
  readonly maxStreamAge: number | undefined
  /** `memory`, the path of a folder, or the URL of a Redis, optionally with `?prefix=`. */
  readonly store: string
  /** Whether `HUB_STORE` is unset: then the hub also starts if the package is missing or the folder cannot be created. */
  readonly isDefaultStore: boolean
  /** Number of processes that serve; 1 is this process alone. */
  readonly workers: number
  readonly retention: Partial<Retention>
  readonly maxStreams: number | undefined
  readonly maxStreamsPerUser: number | undefined
  readonly maxStreamsPerAddress: number | undefined
  readonly openingRate: number | undefined
  readonly presenceGrace: number | undefined
  readonly maxEventBytes: number | undefined
  /** For streams, and for all other responses. */
  readonly stallTimeout: number | undefined
  readonly maxConnections: number | undefined
  readonly maxConnectionsPerAddress: number | undefined
  readonly maxUnreadBytes: number | undefined
  readonly requestTimeout: number | undefined
  readonly webhooks: WebhookSettings | undefined
}

export { EnvironmentError } from './values.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

const DAY = 86_400_000

/** Under the working directory. */
const DEFAULT_STORE = './fastify-sse-hub-data'

/**
 * Reads and checks the environment. An empty variable counts as unset, because compose files set empty ones.
 * @throws {EnvironmentError} naming the first invalid variable, and the values that it takes.
 */
export function readEnvironment(variables: Variables): Environment {
  const misspelled = Object.keys(variables).find(
    (name) => name.startsWith('HUB_') && !SETTING_NAMES.includes(name) && !isServiceLink(name, variables[name])
  )
  if (misspelled !== undefined)
    fail(misspelled, `is not a setting of this version; its settings are ${SETTING_NAMES.join(', ')}`)
  const env = withSettingFiles(variables)
  const number = (name: string, min: number, max: number) => wholeNumber(env, name, min, max)
  const host = env.HOST || '127.0.0.1'
  const retention: Partial<Retention> = defined({
    user: number('HUB_HISTORY_PER_USER', 0, 10_000_000),
    topic: number('HUB_HISTORY_PER_TOPIC', 0, 10_000_000),
    everyone: number('HUB_HISTORY_EVERYONE', 0, 10_000_000),
    age: number('HUB_HISTORY_AGE', 1, 3_650 * DAY),
    inbox: number('HUB_INBOX_COUNT', 1, 10_000),
    inboxAge: number('HUB_INBOX_AGE', 1, 3_650 * DAY),
    bytes: number('HUB_HISTORY_BYTES', 0, Number.MAX_SAFE_INTEGER)
  })
  return {
    ...readAccess(env, host),
    host,
    port: number('PORT', 0, 65_535) ?? 3000,
    logLevel: oneOf('LOG_LEVEL', env.LOG_LEVEL || 'info', LOG_LEVELS),
    corsOrigins: origins(env.HUB_CORS_ORIGIN),
    trustProxy: trustProxy(env.HUB_TRUST_PROXY),
    tls: tls(env.HUB_TLS_CERT, env.HUB_TLS_KEY),
    metrics: oneOf('HUB_METRICS', env.HUB_METRICS || 'on', ['on', 'open', 'off']) as Environment['metrics'],
    tracing: oneOf('HUB_TRACING', env.HUB_TRACING || 'off', ['on', 'off']) as Environment['tracing'],
    heartbeatInterval: number('HUB_HEARTBEAT', 0, DAY),
    reconnectionTime: number('HUB_RETRY', 0, 3_600_000),
    drainDelay: number('HUB_DRAIN_DELAY', 0, 3_600_000) ?? 0,
    maxStreamAge: number('HUB_MAX_STREAM_AGE', 0, 365 * DAY),
    store: store(env.HUB_STORE),
    isDefaultStore: !env.HUB_STORE,
    workers: readWorkers(env, isRedisUrl(env.HUB_STORE)),
    retention,
    maxStreams: number('HUB_MAX_STREAMS', 0, 10_000_000),
    maxStreamsPerUser: number('HUB_MAX_STREAMS_PER_USER', 0, 10_000_000),
    maxStreamsPerAddress: number('HUB_MAX_STREAMS_PER_ADDRESS', 0, 10_000_000),
    openingRate: number('HUB_OPENING_RATE', 0, 10_000),
    presenceGrace: number('HUB_PRESENCE_GRACE', 0, 3_600_000),
    maxEventBytes: number('HUB_MAX_EVENT_BYTES', 1, 1_048_576),
    stallTimeout: number('HUB_STALL_TIMEOUT', 0, DAY),
    maxConnections: number('HUB_MAX_CONNECTIONS', 0, 10_000_000),
    maxConnectionsPerAddress: number('HUB_MAX_CONNECTIONS_PER_ADDRESS', 0, 10_000_000),
    maxUnreadBytes: number('HUB_MAX_UNREAD_BYTES', 1_048_576, Number.MAX_SAFE_INTEGER),
    requestTimeout: number('HUB_REQUEST_TIMEOUT', 100, DAY),
    webhooks: readWebhooks(env, retention)
  }
}

/** Whether Kubernetes sets the variable in every container beside a service named "hub". */
function isServiceLink(name: string, value = ''): boolean {
  if (name === 'HUB_PORT') return /^(tcp|udp|sctp):/.test(value)
  return /^HUB_(SERVICE_(HOST|PORT)|PORT_\d)/.test(name)
}

/** The store of the history. Text that looks like a URL is not accepted as the path of a folder. */
function store(text: string | undefined): string {
  if (!text) return DEFAULT_STORE
  if (isRedisUrl(text)) return redisStore(text)
  const isMemory = text.trim().toLowerCase() === 'memory'
  if ((isMemory && text !== 'memory') || /^[a-z][a-z\d+.-]+:/i.test(text) || text.includes('\0')) {
    // The message does not repeat the value: it may contain a password.
    fail('HUB_STORE', 'is "memory", the path of a folder, or a redis:// or rediss:// URL')
  }
  return text
}

/** No message repeats the URL: it may contain a password. */
function redisStore(text: string): string {
  const [address = '', ...parameters] = text.split('?')
  if (!/:\/\/[^/]/.test(address) || address.includes('#') || readRedisUrl(address) === undefined) {
    fail(
      'HUB_STORE',
      'is not a URL like redis://user:password@host:6379/0, redis+sentinel://host,host/name or redis+cluster://host,host'
    )
  }
  const unknown = [...new URLSearchParams(parameters.join('?')).keys()].find((name) => name !== 'prefix')
  if (unknown !== undefined) fail('HUB_STORE', 'takes ?prefix= and no other parameter')
  return text
}

function origins(text: string | undefined): string[] {
  const list = splitList(text)
  for (const origin of list) {
    // A pattern would be compared as an origin, and match none.
    if (!URL.canParse(origin) || new URL(origin).origin !== origin || origin.includes('*')) {
      fail(
        'HUB_CORS_ORIGIN',
        `is a list of origins like https://app.example, separated by commas; entry ${list.indexOf(origin) + 1} is not`
      )
    }
  }
  return list
}

/** `true`, a number of proxies, or their addresses, for Fastify's `trustProxy`. */
function trustProxy(text: string | undefined): boolean | number | string[] {
  if (text === undefined || text === '' || text === 'false') return false
  if (text === 'true') return true
  if (/^\d{1,2}$/.test(text)) return Number(text)
  const list = splitList(text)
  const bad = list.find((address) => !isAddress(address))
  if (bad !== undefined)
    fail('HUB_TRUST_PROXY', `is true, false, a number of proxies, or addresses; entry ${list.indexOf(bad) + 1} is not`)
  return list
}

/** Whether the text is an address, or a range like 10.0.0.0/8. */
function isAddress(text: string): boolean {
  const [address = '', bits = '1', ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0 || !/^[1-9]\d{0,2}$/.test(bits)) return false
  return Number(bits) <= (family === 4 ? 32 : 128)
}

function tls(cert: string | undefined, key: string | undefined): { cert: string; key: string } | undefined {
  if (!cert && !key) return undefined
  if (!cert) fail('HUB_TLS_CERT', 'must be set with HUB_TLS_KEY')
  if (!key) fail('HUB_TLS_KEY', 'must be set with HUB_TLS_CERT')
  return { cert: cert as string, key: key as string }
}

function defined<Value>(record: Record<string, Value | undefined>): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).filter((entry): entry is [string, Value] => entry[1] !== undefined))
}
