import Fastify from 'fastify'
import t from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { settle } from '../support/fake-sink.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { startHub } from '../support/test-hub.ts'
import { untilSame } from '../support/test-node.ts'

t.test('invalid options are reported at once', async (t) => {
  const url = 'redis://127.0.0.1:1'
  for (const [options, name] of [
    [{ url, lease: 499 }, /lease/],
    [{ url, lease: 600_001 }, /lease/],
    [{ url, lease: '10s' }, /lease/],
    [{ url, leese: 5_000, startDegraded: true }, /leese/],
    [{ url, prefix: '' }, /prefix/],
    [{}, /url/]
  ] as const) {
    await t.rejects(redisHub(options as object), { code: 'SSE_HUB_ERR_INVALID_OPTION', message: name })
  }
})

t.test('a hub that may start without Redis joins the others when it is there', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const options = { url: server.url, timeout: 500 }
  const { hub: one, open } = await startHub(t, await redisHub(options))
  await server.kill()
  const { hub: two } = await startHub(t, await redisHub({ ...options, startDegraded: true }))
  const { sink } = open()
  await settle()
  t.equal(sink.isEnded, false)
  await t.rejects(two.isOnline('alice'), { code: 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE' })
  await server.start()
  await untilSame(() => two.isOnline('alice').catch(() => false), true)
  t.equal(await two.disconnect('alice'), 1)
  t.equal(await one.isOnline('alice'), false)
})

t.test('a cluster belongs to one hub', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const { log, cluster } = await redisHub({ url: server.url })
  const { hub } = await startHub(t, { log, cluster: cluster })
  const app = Fastify()
  await t.rejects(async () => app.register(sseHub, { cluster: cluster }).ready(), {
    code: 'SSE_HUB_ERR_INVALID_OPTION'
  })
  await hub.dispose()
  await app.close()
})
