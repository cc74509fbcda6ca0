import type { Socket } from 'node:net'
import { isLoopback, networkOf } from '../../services/network-address.ts'
import type { ResolvedLimits } from './limits.ts'

/** Of the names of shared counts. */
const PREFIX = 'connections of '
const NETWORK = Symbol('sse hub network')

type Counted = Socket & { [NETWORK]?: string }

/** Counts the connections of each address, and limits them. */
export class AddressCounts {
  readonly #limits: ResolvedLimits
  readonly #counts = new Map<string, number>()
  /** One function for all sockets: a closure for each would cost memory per idle stream. */
  readonly #onClose: (this: Counted) => void

  constructor(limits: ResolvedLimits) {
    this.#limits = limits
    const counts = this.#counts
    const { addressCounts } = limits
    this.#onClose = function () {
      const network = this[NETWORK] as string
      const rest = (counts.get(network) as number) - 1
      if (rest === 0) counts.delete(network)
      else counts.set(network, rest)
      addressCounts?.add(PREFIX + network, -1)
    }
  }

  /** Counts a connection until it closes; false if its address has reached the limit. */
  admit(socket: Socket): boolean {
    const { maxConnectionsPerAddress: limit, limitsLoopback, isProxy, addressCounts } = this.#limits
    if (limit === 0) return true
    const address = socket.remoteAddress
    // The client has left already, or it is not an IP connection.
    if (address === undefined || isProxy(address)) return true
    const network = networkOf(address)
    if (!limitsLoopback && isLoopback(network)) return true
    const count = this.#counts.get(network) ?? 0
    if (count + (addressCounts?.elsewhere(PREFIX + network) ?? 0) >= limit) return false
    this.#counts.set(network, count + 1)
    addressCounts?.add(PREFIX + network, 1)
    const counted = socket as Counted
    counted[NETWORK] = network
    counted.on('close', this.#onClose)
    return true
  }
}
