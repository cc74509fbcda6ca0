import { createClient } from 'redis'
import t, { type Test } from 'tap'
import { RedisConnection } from '../../services/event-log/redis/connection.ts'
import type { RedisLink } from '../../services/event-log/redis/link.ts'
import { RedisNodes } from '../../services/nodes/redis/redis-nodes.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { nodesContract } from './contract.ts'

const LEASE = 1_000

let prefixes = 0

function linkTo(t: Test, server: RedisServer, prefix: string): RedisLink {
  const link = new RedisConnection({
    open: () =>
      createClient({
        url: server.url,
        disableOfflineQueue: true,
        socket: { reconnectStrategy: false }
      }) as never,
    prefix,
    timeout: 1_000,
    random: Math.random
  })
  t.teardown(() => link.close())
  return link
}

t.test('through Redis', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  nodesContract(t, async (t) => {
    const prefix = `hub${++prefixes}`
    const links = new Map<RedisNodes, RedisLink>()
    return {
      nodes() {
        const link = linkTo(t, server, prefix)
        const nodes = new RedisNodes({ link, lease: LEASE })
        t.teardown(() => nodes.leave())
        links.set(nodes, link)
        return nodes
      },
      // Cut off and silent, it is as good as dead to the others.
      kill: (nodes) => links.get(nodes as RedisNodes)?.close()
    }
  })
})
