import { type Address, endClient, type FaultListener, messageOf, type RedisClient } from './client.ts'
import { LinkError } from './link.ts'
import type { SentinelSettings } from './settings.ts'

/**
 * Asks all Sentinels for the master; the first answer counts.
 * @param open creates a client for a Sentinel.
 * @throws {LinkError} when no Sentinel knows.
 */
export async function findMaster(
  { name, sentinelRootNodes }: SentinelSettings,
  open: (sentinel: Address) => RedisClient,
  onFault: FaultListener
): Promise<Address> {
  const asked = sentinelRootNodes.map((node) => {
    const client = open(node)
    let hasSocket = false
    client.on('connect', () => {
      hasSocket = true
    })
    // The pending command is rejected with the same error.
    client.on('error', () => undefined)
    return { answer: ask(client, name), end: () => endClient(client, hasSocket, onFault) }
  })
  try {
    return await Promise.any(asked.map(({ answer }) => answer))
  } catch (error) {
    const [first] = (error as AggregateError).errors
    throw new LinkError(`no Sentinel knows the master: ${messageOf(first)}`, false)
  } finally {
    for (const { end } of asked) end()
  }
}

async function ask(client: RedisClient, name: string): Promise<Address> {
  await client.connect()
  const answer = await client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name])
  if (!Array.isArray(answer)) throw new Error(`no master is called ${JSON.stringify(name)}`)
  return { host: String(answer[0]), port: Number(answer[1]) }
}
