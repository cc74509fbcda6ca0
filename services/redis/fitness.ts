import { type Address, messageOf, type RedisClient } from './client.ts'
import { RedisReplyError } from './link.ts'

/** With one of these errors a server is unfit for now; a new connection may lead to a fit one. */
const UNFIT = new Set(['READONLY', 'LOADING', 'MASTERDOWN', 'CLUSTERDOWN', 'MOVED', 'NOAUTH', 'UNBLOCKED'])

/** Whether an error is about the server, and not about the command. */
export function isUnfit({ kind }: RedisReplyError): boolean {
  return UNFIT.has(kind)
}

/**
 * The reason why a server is unfit, or undefined. A server that loads its data, requires a password, is a replica, or is another
 * node of the cluster than the one that has the keys, accepts connections: only a write reveals it.
 */
export async function greet(client: RedisClient, key: string): Promise<string | undefined> {
  try {
    await client.sendCommand(['SET', key, '', 'PX', '1000'])
  } catch (error) {
    const problem = messageOf(error)
    if (!client.isReady || isUnfit(new RedisReplyError(problem))) return problem
  }
  // Other errors are left to later commands: a server without free memory can still be read.
  return undefined
}

/** The address of a redirection by a node of a cluster. */
export function movedTo(message: string): Address | undefined {
  const [, host, port] = /^MOVED \d+ (\S+):(\d+)$/.exec(message) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}
