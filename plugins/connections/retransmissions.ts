import { createReadStream } from 'node:fs'
import { SocketAddress } from 'node:net'
import { endianness } from 'node:os'

/** The kernel's lists of TCP connections of this network namespace (proc(5)), for IPv4 and IPv6. Linux alone has them. */
const LISTS = ['/proc/net/tcp', '/proc/net/tcp6']
/**
 * An established connection (state 01) whose retransmission timer runs (01): local address and port, remote address and port,
 * and how often the oldest bytes without an acknowledgement were sent again.
 */
const RETRANSMITTING =
  /^ *\d+: [\dA-F]+:([\dA-F]{4}) ([\dA-F]{8}|[\dA-F]{32}):([\dA-F]{4}) 01 [\dA-F]{8}:[\dA-F]{8} 01:[\dA-F]+ ([\dA-F]{8}) /

/** The retransmission timer, as the lists have it; the count is within so many characters behind. */
const TIMER = ' 01:'
const REST = 32
const NEVER = '00000000'
/** How many bytes are read at once. */
const PIECE = 65_536

/** A connection with sent bytes that its peer has not acknowledged, although they were sent again. */
export interface Retransmission {
  readonly localPort: number
  readonly remoteAddress: string
  readonly remotePort: number
  /** How often the kernel has sent the same bytes again. An acknowledgement of new bytes sets it to 0. */
  readonly count: number
}

/**
 * The connections of this machine that retransmit now.
 * @throws {Error} with the code `ENOENT` or `EACCES` where the kernel has no such list for this process.
 */
export async function* retransmissions(lists: readonly string[] = LISTS): AsyncGenerator<Retransmission> {
  for (const [at, list] of lists.entries()) {
    try {
      yield* readList(list)
    } catch (error) {
      // A kernel without IPv6 has no second list.
      if (at === 0) throw error
    }
  }
}

/** Reads piece by piece: each is parsed in a turn of its own, because the list of a busy server is long. */
async function* readList(list: string): AsyncGenerator<Retransmission> {
  let rest = ''
  for await (const piece of createReadStream(list, { encoding: 'latin1', highWaterMark: PIECE })) {
    const text = rest + piece
    // Few connections have a timer that runs, so the others are not parsed.
    for (let at = text.indexOf(TIMER); at !== -1; at = text.indexOf(TIMER, at + 1)) {
      const connection = parse(text.slice(text.lastIndexOf('\n', at) + 1, at + REST))
      if (connection !== undefined) yield connection
    }
    rest = text.slice(text.lastIndexOf('\n') + 1)
  }
}

function parse(line: string): Retransmission | undefined {
  const [, localPort = '', address = '', remotePort = '', count = ''] = RETRANSMITTING.exec(line) ?? []
  if (count === '' || count === NEVER) return undefined
  return {
    localPort: Number.parseInt(localPort, 16),
    remoteAddress: addressOf(address),
    remotePort: Number.parseInt(remotePort, 16),
    count: Number.parseInt(count, 16)
  }
}

/** The address as `socket.remoteAddress` has it. The kernel prints its 32-bit words in the byte order of the machine. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  if (endianness() === 'LE') bytes.swap32()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16))
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}
