import { describe } from '../../channel.ts'
import { InvalidOptionError } from '../../errors.ts'
import type { Address, RedisClient } from './client.ts'

/** What is used of the client that a host hands in. */
export interface RedisTemplate {
  duplicate(overrides?: object): RedisClient
  // The client's own type is not named, so that a host without `redis` can be compiled.
  readonly options?: { readonly socket?: object | undefined } | undefined
}

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
export async function openerFor({
  url,
  client
}: {
  readonly url?: string | undefined
  readonly client?: RedisTemplate | undefined
}): Promise<(address: Address | undefined) => RedisClient> {
  if ((url === undefined) === (client === undefined)) {
    throw new InvalidOptionError('url', 'is where Redis is, redis://host:port; or pass a client, not both')
  }
  if (client !== undefined) {
    if (typeof client !== 'object' || client === null || typeof client.duplicate !== 'function') {
      throw new InvalidOptionError('client', 'is a client of the package redis: createClient(…)')
    }
    checkVersion(client)
    return (address) => client.duplicate({ ...OPTIONS, socket: { ...client.options?.socket, ...SOCKET, ...address } })
  }
  checkUrl(url as string)
  const { createClient } = await load()
  // The client reads from the URL what the socket is; what is said besides wins over it only once it has been read.
  const template = createClient({ url: url as string, ...OPTIONS })
  checkVersion(template)
  return (address) =>
    template.duplicate({ ...OPTIONS, url: undefined, socket: { ...template.options?.socket, ...SOCKET, ...address } })
}

/** The package admits any version, so that a host with an older one can be installed; the log needs 5 or 6. */
function checkVersion(client: RedisTemplate & { readonly destroy?: unknown }): void {
  if (typeof client.destroy !== 'function')
    throw new InvalidOptionError('client', 'the event log needs the package redis 5 or later: npm install redis@6')
}

/** What is wrong with a URL is said without the URL, in which a password may stand. */
function checkUrl(url: unknown): void {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !['redis:', 'rediss:'].includes(parsed.protocol)) {
    throw new InvalidOptionError('url', `is redis://host:port or rediss://…; got ${describe(url)}`)
  }
  if (!/^\/?\d{0,4}$/.test(parsed.pathname)) {
    throw new InvalidOptionError('url', 'ends with the number of the database, if with anything: redis://host:port/0')
  }
}

async function load(): Promise<{ createClient(options: object): RedisTemplate }> {
  try {
    return (await import('redis')) as unknown as { createClient(options: object): RedisTemplate }
  } catch {
    throw new InvalidOptionError('log', 'the event log in Redis needs the package redis: npm install redis')
  }
}
