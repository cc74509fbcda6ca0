import { InvalidOptionError } from '../errors.ts'
import { describe } from '../text.ts'
import type { Address } from './client.ts'

/** Where servers announce themselves at addresses that this process cannot reach: `host:port` to where they are. */
export type AddressMap = Readonly<Record<string, Address>> | ((address: string) => Address | undefined)

/** What `createSentinel` of node-redis takes, as far as it is used. */
export interface SentinelSettings {
  /** What the Sentinels call the master. */
  readonly name: string
  readonly sentinelRootNodes: readonly Address[]
  /** Options of `createClient` for the Sentinels: user, password, TLS. */
  readonly sentinelClientOptions?: object | undefined
  /** Options of `createClient` for the servers. */
  readonly nodeClientOptions?: object | undefined
  readonly nodeAddressMap?: AddressMap | undefined
}

/** What `createCluster` of node-redis takes, as far as it is used. */
export interface ClusterSettings {
  /** Options of `createClient` for some nodes of the cluster, each with a `url` or a `socket`. */
  readonly rootNodes: readonly object[]
  /** The same for all nodes: user, password, TLS. */
  readonly defaults?: object | undefined
  readonly nodeAddressMap?: AddressMap | undefined
}

/** @throws {InvalidOptionError} */
export function checkSentinel(settings: SentinelSettings): void {
  const { name, sentinelRootNodes: nodes } = settings ?? {}
  const isRight = typeof name === 'string' && name !== '' && Array.isArray(nodes) && nodes.length > 0
  if (!isRight || !nodes.every(isAddress)) {
    throw new InvalidOptionError(
      'sentinel',
      `is what createSentinel takes: { name, sentinelRootNodes: [{ host, port }] }; got ${describe(settings)}`
    )
  }
}

/** @throws {InvalidOptionError} */
export function checkCluster(settings: ClusterSettings): void {
  const { rootNodes: nodes } = settings ?? {}
  if (
    !Array.isArray(nodes) ||
    nodes.length === 0 ||
    !nodes.every((node) => typeof node === 'object' && node !== null)
  ) {
    throw new InvalidOptionError(
      'cluster',
      `is what createCluster takes: { rootNodes: [{ url }] }; got ${describe(settings)}`
    )
  }
}

function isAddress(value: unknown): value is Address {
  const { host, port } = (value ?? {}) as Partial<Address>
  return typeof host === 'string' && host !== '' && Number.isInteger(port)
}

/** Where a server is that has announced an address. */
export function reachable(address: Address, map: AddressMap | undefined): Address {
  const text = `${address.host}:${address.port}`
  return (typeof map === 'function' ? map(text) : map?.[text]) ?? address
}
