import type { ClusterSettings, SentinelSettings } from './settings.ts'

/** The address in a URL of Redis. */
export type RedisAddress =
  | { readonly kind: 'server' }
  | { readonly kind: 'sentinel'; readonly settings: SentinelSettings }
  | { readonly kind: 'cluster'; readonly settings: ClusterSettings }

const SENTINEL_PORT = 26_379
const NODE_PORT = 6_379

/**
 * Reads `redis://…`, `redis+sentinel://user:password@host:port,host:port/name/0` and `redis+cluster://user:password@host:port,host:port`,
 * each also with `rediss` for TLS. Undefined for anything else.
 */
export function readRedisUrl(url: unknown): RedisAddress | undefined {
  if (typeof url !== 'string') return undefined
  const [, scheme = '', kind = 'server', rest = ''] = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(.*)$/s.exec(url) ?? []
  if (scheme === '' || (kind === 'server' && !isServer(url))) return undefined
  if (kind === 'server') return { kind }
  const slash = rest.indexOf('/')
  const hosts = slash === -1 ? rest : rest.slice(0, slash)
  const path = slash === -1 ? [] : rest.slice(slash + 1).split('/')
  const parsed = readHosts(hosts, kind === 'sentinel' ? SENTINEL_PORT : NODE_PORT)
  if (parsed === undefined || /[?#]/.test(rest)) return undefined
  const { addresses, username, password } = parsed
  const credentials = { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) }
  const socket = scheme === 'rediss' ? { socket: { tls: true } } : {}
  if (kind === 'cluster') {
    if (path.join('') !== '') return undefined
    const rootNodes = addresses.map((address) => ({ socket: address }))
    return { kind, settings: { rootNodes, defaults: { ...credentials, ...socket } } }
  }
  const [name = '', database = ''] = path
  if (name === '' || path.length > 2 || !isDatabase(database)) return undefined
  const nodeClientOptions = { ...credentials, ...socket, ...(database === '' ? {} : { database: Number(database) }) }
  const sentinels = { sentinelRootNodes: addresses, sentinelClientOptions: socket }
  return { kind: 'sentinel', settings: { name: decodeURIComponent(name), ...sentinels, nodeClientOptions } }
}

function isServer(url: string): boolean {
  return URL.canParse(url) && isDatabase(new URL(url).pathname.replace(/^\//, ''))
}

function isDatabase(text: string): boolean {
  return /^\d{0,4}$/.test(text)
}

/** Parses each host with `URL`, and the credentials before the first. */
function readHosts(text: string, defaultPort: number) {
  const at = text.lastIndexOf('@')
  const credentials = URL.canParse(`http://${text.slice(0, at + 1)}x`)
    ? new URL(`http://${text.slice(0, at + 1)}x`)
    : undefined
  const hosts = text.slice(at + 1).split(',')
  if (credentials === undefined || hosts.some((host) => host === '' || !URL.canParse(`redis://${host}`)))
    return undefined
  const addresses = hosts.map((host) => {
    const { hostname, port } = new URL(`redis://${host}`)
    return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? defaultPort : Number(port) }
  })
  try {
    return {
      addresses,
      username: decodeURIComponent(credentials.username),
      password: decodeURIComponent(credentials.password)
    }
  } catch {
    // Malformed percent-encoding is not a URL.
    return undefined
  }
}
