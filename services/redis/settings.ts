import { InvalidOptionError } from '../errors.ts'
import { describe } from '../text.ts'
import type { Address } from './client.ts'

/** Maps addresses that servers announce, `host:port`, to those at which this process reaches them. */
export type AddressMap = Readonly<Record<string, Address>> | ((address: string) => Address | undefined)

/** The options of `createSentinel` of node-redis that the hub uses. */
export interface SentinelSettings {
  /** The name of the master. */
  readonly name: string
  readonly sentinelRootNodes: readonly Address[]
  /** Options of `createClient` for the Sentinels: user, password, TLS. */
  readonly sentinelClientOptions?: object | undefined
  /** Options of `createClient` for the servers. */
  readonly nodeClientOptions?: object | undefined
  readonly nodeAddressMap?: AddressMap | undefined
}

/** The options of `createCluster` of node-redis that the hub uses. */
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
  const isValid = typeof name === 'string' && name !== '' && Array.isArray(nodes) && nodes.length > 0
  if (!isValid || !nodes.every(isAddress)) {
    throw new InvalidOptionError(
      'sentinel',
      `has the options of createSentinel: { name, sentinelRootNodes: [{ host, port }] }; got ${describe(settings)}`
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
      `has the options of createCluster: { rootNodes: [{ url }] }; got ${describe(settings)}`
    )
  }
}

function isAddress(value: unknown): value is Address {
  const { host, port } = (value ?? {}) as Partial<Address>
  return typeof host === 'string' && host !== '' && Number.isInteger(port)
}

/** The address at which this process reaches a server. */
export function reachable(address: Address, map: AddressMap | undefined): Address {
  const text = `${address.host}:${address.port}`
  return (typeof map === 'function' ? map(text) : map?.[text]) ?? address
}
