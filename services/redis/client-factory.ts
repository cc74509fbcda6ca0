import { InvalidOptionError } from '../errors.ts'
import { describe } from '../text.ts'
import type { Address, FaultListener, RedisClient } from './client.ts'
import { findMaster } from './sentinels.ts'
import { type ClusterSettings, checkCluster, checkSentinel, reachable, type SentinelSettings } from './settings.ts'
import { readRedisUrl } from './url.ts'

/** What is used of the client that a host hands in. */
export interface RedisTemplate {
  duplicate(overrides?: object): RedisClient
  // The client's own type is not named, so that a host without `redis` can be compiled.
  readonly options?: { readonly socket?: object | undefined } | undefined
}

/** Makes a client that tells how to connect now; it is not connected itself. */
export type RedisTemplateFactory = () => RedisTemplate | Promise<RedisTemplate>

/** Where Redis is: one of these. */
export interface RedisSource {
  readonly url?: string | undefined
  readonly client?: RedisTemplate | RedisTemplateFactory | undefined
  readonly sentinel?: SentinelSettings | undefined
  readonly cluster?: ClusterSettings | undefined
}

/** Makes a client for a line; `address` is where a node of a cluster has said that the keys are. */
type Open = (address: Address | undefined) => RedisClient | Promise<RedisClient>
type CreateClient = (options: object) => RedisTemplate

/** Lines that are lost are not mended by the client, but replaced; nothing waits for them. RESP 2 is all that is needed. */
const OPTIONS = {
  RESP: 2,
  disableOfflineQueue: true,
  commandsQueueMaxLength: 100_000,
  // What only RESP 3 can do.
  maintNotifications: 'disabled',
  clientSideCache: undefined,
  emitInvalidate: false
} as const
const SOCKET = { reconnectStrategy: false, connectTimeout: 2_000, keepAlive: true } as const

/** @throws {InvalidOptionError} */
export async function openerFor(source: RedisSource, onFault: FaultListener): Promise<Open> {
  const { url, client, sentinel, cluster } = source
  if ([url, client, sentinel, cluster].filter((each) => each !== undefined).length !== 1) {
    throw new InvalidOptionError('url', 'is where Redis is, redis://host:port; or pass a client, not both')
  }
  if (client !== undefined) return openerOfClient(client)
  if (sentinel !== undefined) return openerOfSentinel(sentinel, onFault)
  if (cluster !== undefined) return openerOfCluster(cluster)
  const address = readRedisUrl(url)
  if (address === undefined) throw new InvalidOptionError('url', urlProblem(url))
  if (address.kind === 'sentinel') return openerOfSentinel(address.settings, onFault)
  if (address.kind === 'cluster') return openerOfCluster(address.settings)
  const createClient = await load()
  // The client reads from the URL what the socket is; what is said besides wins over it only once it has been read.
  const template = createClient({ url: url as string, ...OPTIONS })
  return (address) => lineOf(template, address)
}

function openerOfClient(client: RedisTemplate | RedisTemplateFactory): Open {
  if (typeof client !== 'function') {
    checkTemplate(client)
    return (address) => lineOf(client, address)
  }
  return async (address) => {
    const made = await client()
    checkTemplate(made)
    return lineOf(made, address)
  }
}

async function openerOfSentinel(settings: SentinelSettings, onFault: FaultListener): Promise<Open> {
  checkSentinel(settings)
  const createClient = await load()
  const sentinels = createClient({ ...settings.sentinelClientOptions, ...OPTIONS })
  const nodes = createClient({ ...settings.nodeClientOptions, ...OPTIONS })
  return async () => {
    const master = await findMaster(settings, (sentinel) => lineOf(sentinels, sentinel), onFault)
    return lineOf(nodes, reachable(master, settings.nodeAddressMap))
  }
}

async function openerOfCluster({ rootNodes, defaults, nodeAddressMap }: ClusterSettings): Promise<Open> {
  checkCluster({ rootNodes })
  const createClient = await load()
  const roots = rootNodes.map((root) => createClient({ ...defaults, ...root, ...OPTIONS }))
  const nodes = createClient({ ...defaults, ...OPTIONS })
  let turn = 0
  return (address) => {
    if (address !== undefined) return lineOf(nodes, reachable(address, nodeAddressMap))
    // Any node that is there tells which one has the keys.
    return lineOf(roots[turn++ % roots.length] as RedisTemplate)
  }
}

function lineOf(template: RedisTemplate, address?: Address): RedisClient {
  const socket = { ...template.options?.socket, ...SOCKET, ...address }
  return template.duplicate({ ...OPTIONS, url: undefined, socket })
}

/** @throws {InvalidOptionError} */
function checkTemplate(client: RedisTemplate): void {
  if (typeof client !== 'object' || client === null || typeof client.duplicate !== 'function') {
    throw new InvalidOptionError(
      'client',
      'is a client of the package redis: createClient(…), or a function that makes one'
    )
  }
  if ('getMasterNode' in client) {
    throw new InvalidOptionError('client', 'is for one server; pass what createSentinel takes: sentinel: { name, … }')
  }
  if ('getSlotMaster' in client) {
    throw new InvalidOptionError(
      'client',
      'is for one server; pass what createCluster takes: cluster: { rootNodes, … }'
    )
  }
  checkVersion(client)
}

/** The package admits any version, so that a host with an older one can be installed; the log needs 5 or 6. */
function checkVersion(client: RedisTemplate & { readonly destroy?: unknown }): void {
  if (typeof client.destroy !== 'function')
    throw new InvalidOptionError('client', 'the event log needs the package redis 5 or later: npm install redis@6')
}

/** What is wrong with a URL, without the URL, in which a password may stand. */
function urlProblem(url: unknown): string {
  if (typeof url === 'string' && /^rediss?:\/\/[^/]+\/[^/]/.test(url)) {
    return 'ends with the number of the database, if with anything: redis://host:port/0'
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
