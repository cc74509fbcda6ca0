import { InvalidOptionError } from '../errors.ts'
import { describe } from '../text.ts'
import type { Address, FaultListener, RedisClient } from './client.ts'
import { findMaster } from './sentinels.ts'
import { type ClusterSettings, checkCluster, checkSentinel, reachable, type SentinelSettings } from './settings.ts'
import { readRedisUrl } from './url.ts'

/** The part of the host's client that the hub uses. */
export interface RedisTemplate {
  duplicate(overrides?: object): RedisClient
  // The client's own type is not imported, so that a host without `redis` compiles.
  readonly options?: { readonly socket?: object | undefined } | undefined
}

/** Creates a client as a template for the next connection; it is not connected itself. */
export type RedisTemplateFactory = () => RedisTemplate | Promise<RedisTemplate>

/** The address of Redis: one of these. */
export interface RedisSource {
  readonly url?: string | undefined
  readonly client?: RedisTemplate | RedisTemplateFactory | undefined
  readonly sentinel?: SentinelSettings | undefined
  readonly cluster?: ClusterSettings | undefined
}

/** Creates a client for a connection; `address` is where a node of a cluster has redirected the hub. */
type Open = (address: Address | undefined) => RedisClient | Promise<RedisClient>
type CreateClient = (options: object) => RedisTemplate

/** The hub replaces lost connections; the client neither reconnects nor queues commands. RESP 2 suffices. */
const OPTIONS = {
  RESP: 2,
  disableOfflineQueue: true,
  commandsQueueMaxLength: 100_000,
  // Features of RESP 3.
  maintNotifications: 'disabled',
  clientSideCache: undefined,
  emitInvalidate: false
} as const
const SOCKET = { reconnectStrategy: false, connectTimeout: 2_000, keepAlive: true } as const

/** @throws {InvalidOptionError} */
export async function openerFor(source: RedisSource, onFault: FaultListener): Promise<Open> {
  const { url, client, sentinel, cluster } = source
  if ([url, client, sentinel, cluster].filter((each) => each !== undefined).length !== 1) {
    throw new InvalidOptionError(
      'url',
      'is the address of Redis, redis://host:port; pass exactly one of url, client, sentinel and cluster'
    )
  }
  if (client !== undefined) return openerOfClient(client)
  if (sentinel !== undefined) return openerOfSentinel(sentinel, onFault)
  if (cluster !== undefined) return openerOfCluster(cluster)
  const address = readRedisUrl(url)
  if (address === undefined) throw new InvalidOptionError('url', urlProblem(url))
  if (address.kind === 'sentinel') return openerOfSentinel(address.settings, onFault)
  if (address.kind === 'cluster') return openerOfCluster(address.settings)
  const createClient = await load()
  // The client takes the socket's options from the URL; other options override them only in a duplicate.
  const template = createClient({ url: url as string, ...OPTIONS })
  return (address) => clientOf(template, address)
}

function openerOfClient(client: RedisTemplate | RedisTemplateFactory): Open {
  if (typeof client !== 'function') {
    checkTemplate(client)
    return (address) => clientOf(client, address)
  }
  return async (address) => {
    const made = await client()
    checkTemplate(made)
    return clientOf(made, address)
  }
}

async function openerOfSentinel(settings: SentinelSettings, onFault: FaultListener): Promise<Open> {
  checkSentinel(settings)
  const createClient = await load()
  const sentinels = createClient({ ...settings.sentinelClientOptions, ...OPTIONS })
  const nodes = createClient({ ...settings.nodeClientOptions, ...OPTIONS })
  return async () => {
    const master = await findMaster(settings, (sentinel) => clientOf(sentinels, sentinel), onFault)
    return clientOf(nodes, reachable(master, settings.nodeAddressMap))
  }
}

async function openerOfCluster({ rootNodes, defaults, nodeAddressMap }: ClusterSettings): Promise<Open> {
  checkCluster({ rootNodes })
  const createClient = await load()
  const roots = rootNodes.map((root) => createClient({ ...defaults, ...root, ...OPTIONS }))
  const nodes = createClient({ ...defaults, ...OPTIONS })
  let turn = 0
  return (address) => {
    if (address !== undefined) return clientOf(nodes, reachable(address, nodeAddressMap))
    // Any node of the cluster redirects to the one that has the keys.
    return clientOf(roots[turn++ % roots.length] as RedisTemplate)
  }
}

function clientOf(template: RedisTemplate, address?: Address): RedisClient {
  const socket = { ...template.options?.socket, ...SOCKET, ...address }
  return template.duplicate({ ...OPTIONS, url: undefined, socket })
}

/** @throws {InvalidOptionError} */
function checkTemplate(client: RedisTemplate): void {
  if (typeof client !== 'object' || client === null || typeof client.duplicate !== 'function') {
    throw new InvalidOptionError(
      'client',
      'is a client of the package redis: createClient(…), or a function that creates one'
    )
  }
  if ('getMasterNode' in client) {
    throw new InvalidOptionError(
      'client',
      'is for one server; pass the options of createSentinel: sentinel: { name, … }'
    )
  }
  if ('getSlotMaster' in client) {
    throw new InvalidOptionError(
      'client',
      'is for one server; pass the options of createCluster: cluster: { rootNodes, … }'
    )
  }
  checkVersion(client)
}

/** The peer dependency accepts any version, so that a host with an older one can be installed; the log needs 5 or 6. */
function checkVersion(client: RedisTemplate & { readonly destroy?: unknown }): void {
  if (typeof client.destroy !== 'function')
    throw new InvalidOptionError('client', 'the event log needs the package redis 5 or later: npm install redis@6')
}

/** The error of a URL, without the URL, which may contain a password. */
function urlProblem(url: unknown): string {
  if (typeof url === 'string' && /^rediss?:\/\/[^/]+\/[^/]/.test(url)) {
    return 'has at most the number of the database as its path: redis://host:port/0'
  }
  return `is redis://host:port, redis+sentinel://host:port,…/name or redis+cluster://host:port,…; got ${describe(url)}`
}

async function load(): Promise<CreateClient> {
  let createClient: CreateClient
  try {
    createClient = ((await import('redis')) as unknown as { createClient: CreateClient }).createClient
  } catch {
    throw new InvalidOptionError('log', 'the event log in Redis needs the package redis: npm install redis')
  }
  checkVersion(createClient(OPTIONS))
  return createClient
}
