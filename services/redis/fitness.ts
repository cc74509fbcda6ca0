import { type Address, messageOf, type RedisClient } from './client.ts'
import { RedisReplyError } from './link.ts'

/** A server that says one of these cannot do for now what is asked; another line may lead to one that can. */
const UNFIT = new Set(['READONLY', 'LOADING', 'MASTERDOWN', 'CLUSTERDOWN', 'MOVED', 'NOAUTH', 'UNBLOCKED'])

/** Whether a refusal is about the server, and not about the command. */
export function isUnfit({ kind }: RedisReplyError): boolean {
  return UNFIT.has(kind)
}

/**
 * Why a server is unfit, if it is. A server that is loading its data, wants a password, is a replica, or is another node of the cluster
 * than the one that has the keys, lets anybody connect: only a command that writes tells.
 */
export async function greet(client: RedisClient, key: string): Promise<string | undefined> {
  try {
    await client.sendCommand(['SET', key, '', 'PX', '1000'])
  } catch (error) {
    const problem = messageOf(error)
    if (!client.isReady || isUnfit(new RedisReplyError(problem))) return problem
  }
  // Any other refusal is for the commands that follow: a server without room for more can be read.
  return undefined
}

/** Where the keys are, if a node of a cluster has told. */
export function movedTo(message: string): Address | undefined {
  const [, host, port] = /^MOVED \d+ (\S+):(\d+)$/.exec(message) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}
