import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import { redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import type { PublishReceipt } from '../../services/hub/publish-receipt.ts'
import { buildHub } from '../support/build.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { StreamClient } from '../support/stream-client.ts'
import { untilSame } from '../support/test-node.ts'

const LOGS: Record<string, { skip: false | string; make: (t: Test) => Promise<EventLog | undefined> }> = {
  memory: { skip: false, make: async () => undefined },
  embedded: {
    skip: false,
    make: async (t) => {
      const path = mkdtempSync(join(tmpdir(), 'sse-hub-opening-'))
      t.teardown(() => rmSync(path, { recursive: true, force: true }))
      return embeddedLog({ path })
    }
  },
  redis: {
    skip: withoutRedis,
    make: async (t) => {
      const redis = await RedisServer.start()
      t.teardown(() => redis.stop())
      return redisLog({ url: redis.url })
    }
  }
}

for (const [kind, { skip, make }] of Object.entries(LOGS)) {
  t.test(`events that are sent after a stream is open arrive, with the ${kind} log`, { skip }, async (t) => {
    const log = await make(t)
    const receipts: PublishReceipt<string | null>[] = []
    const host = await buildHub(t, {
      hub: { log },
      host: (app) => {
        app.sse.on('open', async ({ user }) => {
          receipts.push(await app.sse.send(String(user), { data: 'T in open', transient: true }))
        })
        app.get('/events', async (request, reply) => {
          const stream = await app.sse.connect(request, reply, { user: 'alice', from: 'oldest' })
          receipts.push(await app.sse.send('alice', { data: 'T after connect', transient: true }))
          receipts.push(await app.sse.send('alice', { data: 'E after connect' }))
          receipts.push(await app.sse.send('alice', { data: 'T last', transient: true }))
          return stream
        })
      }
    })
    await host.app.sse.send('alice', { data: 'old' })
    const client = await StreamClient.open(`${await host.listen()}/events`)
    t.teardown(() => client.cut())
    await client.count(5)
    t.same(
      client.published.map(({ data }) => data),
      ['old', 'T in open', 'T after connect', 'E after connect', 'T last']
    )
    t.equal(JSON.parse(client.events[0]?.data ?? '').replayed, 1)
    // An event may arrive before the answer to its publisher.
    await untilSame(async () => receipts.map(({ streams }) => streams), [1, 1, 1, 1])
  })
}
