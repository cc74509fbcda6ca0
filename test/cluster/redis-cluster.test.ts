import t from 'tap'
import type { Cluster } from '../../services/cluster/cluster.ts'
import { RedisCluster } from '../../services/cluster/redis/redis-cluster.ts'
import { redisLink } from '../../services/event-log/redis/open-redis-log.ts'
import type { RedisLink } from '../../services/redis/link.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { clusterContract } from './cluster-contract.ts'

const LEASE = 1_000

let prefixes = 0

t.test('through Redis', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  clusterContract(t, async (t) => {
    const prefix = `hub${++prefixes}`
    const links = new Map<Cluster, RedisLink>()
    return {
      async nodes() {
        const link = await redisLink({ url: server.url, prefix, timeout: 1_000 })
        t.teardown(() => link.close())
        const nodes = new RedisCluster({ link, lease: LEASE })
        t.teardown(() => nodes.leave())
        links.set(nodes, link)
        return nodes
      },
      // For the others, a silent node without a connection is a dead one.
      kill: (nodes) => links.get(nodes)?.close()
    }
  })
})
