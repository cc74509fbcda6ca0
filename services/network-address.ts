import { isIPv4, isIPv6 } from 'node:net'

const GROUPS = 8
/** A provider gives one customer a /64: the first half of the groups. */
const NETWORK_GROUPS = 4
/** Longer texts are not addresses; only their beginning is kept. */
const MAX_LENGTH = 64
/** `1.2.3.4:5678` and `[::1]:5678`, as some proxies write an address into `X-Forwarded-For`. */
const WITH_PORT = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/

/**
 * The network by which limits per address count: an IPv4 address itself, or the /64 of an IPv6 address. Every spelling of an
 * address gives the same text, and an IPv4 address that is mapped into IPv6 counts as IPv4.
 */
export function networkOf(address: string): string {
  if (isIPv4(address)) return address
  const [, inBrackets, beforePort] = WITH_PORT.exec(address) ?? []
  const bare = (inBrackets ?? beforePort ?? address).replace(/%.*$/s, '')
  if (!isIPv6(bare)) return bare.slice(0, MAX_LENGTH).toLowerCase()
  const groups = groupsOf(bare)
  const [high = 0, low = 0] = groups.slice(-2)
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
  if (isMapped) return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
  const network = groups.slice(0, NETWORK_GROUPS).map((group) => group.toString(16))
  return `${network.join(':')}::/64`
}

/** Whether the network is the loopback network of this machine. */
export function isLoopback(network: string): boolean {
  return network.startsWith('127.') || network === '0:0:0:0::/64'
}

/** The eight groups of an IPv6 address. The URL parser normalises its spelling. */
function groupsOf(address: string): number[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [before = [], after = []] = canonical.split('::').map((half) => half.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: GROUPS - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16))
}
