import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createClient } from 'redis'
import t from 'tap'
import { idempotent } from '../../event-log-contract/given.ts'
import { type RedisLogOptions, redisLink, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { selfSigned } from '../support/self-signed.ts'
import { Listening, toAlice } from '../support/tail-listener.ts'

const INVALID = 'SSE_HUB_ERR_INVALID_OPTION'

t.test('names the invalid option, and never the content of a URL', async (t) => {
  const wrong: [object, RegExp][] = [
    [{}, /url.*redis:\/\/host:port/],
    [{ url: 'redis://a', client: {} }, /exactly one of/],
    [{ url: 'http://user:secret@host' }, /url/],
    [{ url: 'redis://user:secret@host:99999' }, /url/],
    [{ url: 'secret' }, /url/],
    [{ url: 7 }, /url/],
    [{ url: 'redis://host/secret' }, /database/],
    [{ client: 'secret' }, /client/],
    [{ client: null }, /client/],
    [{ client: {} }, /client/],
    [{ client: { duplicate: () => ({}), disconnect: () => {} } }, /redis 5 or later: npm install redis@6/],
    [{ url: 'redis://host', prefix: 'a{b}' }, /prefix/],
    [{ url: 'redis://host', prefix: '' }, /prefix/],
    [{ url: 'redis://host', prefix: 7 }, /prefix/],
    [{ url: 'redis://host', timeout: 1 }, /timeout/],
    [{ url: 'redis://host', retention: { users: 1 } }, /retention\.users/],
    [{ url: 'redis://host', idempotencyWindow: 1 }, /idempotencyWindow/],
    [{ url: 'redis://host', tailBytes: -1 }, /tailBytes/],
    [{ url: 'redis://host', recentBytes: 0.5 }, /recentBytes/],
    [{ url: 'redis://host', pasword: 'secret' }, /pasword/]
  ]
  for (const [options, message] of wrong) {
    const error = await redisLog(options as RedisLogOptions).then(
      () => t.fail('was accepted'),
      (error: Error) => error
    )
    t.match(error, { code: INVALID, message })
    t.notMatch(inspect(error, { depth: 9, showHidden: true }), /secret/)
  }
})

t.test('fails within its timeout, without the password, when Redis cannot be reached', async (t) => {
  const error = await redisLog({ url: 'redis://user:secret@127.0.0.1:1' }).then(
    () => t.fail('was accepted'),
    (error: Error) => error
  )
  t.match(error, { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE', message: /ECONNREFUSED.*startDegraded/ })
  t.notMatch(inspect(error, { depth: 9 }), /secret/)
})

t.test(
  'starts without Redis if allowed, rejects appends meanwhile, and reports a discontinuity when Redis is there',
  { skip: withoutRedis },
  async (t) => {
    const redis = await RedisServer.start()
    t.teardown(() => redis.stop())
    await redis.kill()
    const log = await redisLog({ url: redis.url, startDegraded: true })
    t.teardown(() => log.close())
    const listening = await Listening.to(log)
    await t.rejects(log.append([toAlice('a')]), {
      code: 'SSE_HUB_ERR_LOG_UNAVAILABLE',
      message: /Nothing was published/
    })
    t.equal(await log.ready(), false)
    await redis.start()
    await listening.discontinuity()
    while (!(await log.ready())) await new Promise((resolve) => setTimeout(resolve, 10))
    await log.append([toAlice('b')])
    await listening.met('b')
    t.same([listening.texts, listening.discontinuities.length, await log.ready()], [['b'], 1, true])
  }
)

t.test('can be closed while it waits for Redis', async (t) => {
  const log = await redisLog({ url: 'redis://127.0.0.1:1', startDegraded: true })
  await Listening.to(log)
  await log.close()
  await t.rejects(Listening.to(log), { code: 'SSE_HUB_ERR_CLOSED' })
})

t.test(
  'works with user, password and database, and reports which of them is rejected',
  { skip: withoutRedis },
  async (t) => {
    const redis = await RedisServer.start()
    t.teardown(() => redis.stop())
    await redis.send(
      ['ACL', 'SETUSER', 'hub', 'on', '>s3cret', '~{mine}:*', '+@all', '-@dangerous'],
      ['ACL', 'SETUSER', 'default', 'off']
    )
    const log = await redisLog({ url: `redis://hub:s3cret@127.0.0.1:${redis.port}/3`, prefix: 'mine' })
    t.teardown(() => log.close())
    const listening = await Listening.to(log)
    await log.append([
      toAlice('a', { channels: ['u:alice', 't:news'], collapseKey: 'c', ttl: 10_000, idempotency: idempotent('k') })
    ])
    await listening.met('a')
    t.same((await log.read({ channels: ['u:alice'], from: 'oldest', limit: 9 })).events[0]?.data, 'a')
    const foreign = await redisLog({ url: `redis://hub:s3cret@127.0.0.1:${redis.port}/3`, prefix: 'yours' })
    t.teardown(() => foreign.close())
    await t.rejects(foreign.append([toAlice('a')]), { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE', message: /NOPERM/ })
    const error = await redisLog({ url: `redis://hub:wr0ng@127.0.0.1:${redis.port}` }).then(
      () => t.fail('was accepted'),
      (error: Error) => error
    )
    t.match(error, { message: /WRONGPASS/ })
    t.notMatch(inspect(error, { depth: 9 }), /wr0ng/)
  }
)

t.test('does not change a client from the host', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const client = createClient({ url: redis.url, database: 2 })
  await client.connect()
  t.teardown(() => client.destroy())
  const log = await redisLog({ client })
  const listening = await Listening.to(log)
  await log.append([toAlice('a')])
  await listening.met('a')
  t.ok((await client.keys('*')).includes('{sse-hub}:state'), 'in the same database')
  await log.close()
  t.equal(await client.ping(), 'PONG')
  const connected = String(await client.sendCommand(['CLIENT', 'LIST']))
    .trim()
    .split('\n')
  t.equal(connected.length, 1, 'its own connections are closed')
})

t.test('speaks TLS as configured in the client', { skip: withoutRedis }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sse-hub-tls-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const { key, cert } = selfSigned()
  writeFileSync(join(dir, 'key.pem'), key)
  writeFileSync(join(dir, 'cert.pem'), cert)
  const redis = await RedisServer.start({
    args: [
      '--tls-cert-file',
      join(dir, 'cert.pem'),
      '--tls-key-file',
      join(dir, 'key.pem'),
      '--tls-ca-cert-file',
      join(dir, 'cert.pem'),
      '--tls-auth-clients',
      'no'
    ],
    hasTls: true
  })
  t.teardown(() => redis.stop())
  const client = createClient({ url: `rediss://localhost:${redis.tlsPort}`, socket: { tls: true, ca: cert } })
  const log = await redisLog({ client })
  t.teardown(() => log.close())
  await log.append([toAlice('a')])
  t.equal((await log.read({ channels: ['u:alice'], from: 'oldest', limit: 9 })).events[0]?.data, 'a')
  await t.rejects(redisLog({ url: `rediss://127.0.0.1:${redis.tlsPort}` }), { message: /self-signed/ })
})

t.test('finds the node of a cluster that has its keys', { skip: withoutRedis }, async (t) => {
  const [one, two] = [
    await RedisServer.start({ args: ['--cluster-enabled', 'yes'] }),
    await RedisServer.start({ args: ['--cluster-enabled', 'yes'] })
  ]
  t.teardown(() => Promise.all([one.stop(), two.stop()]))
  await one.send(['CLUSTER', 'MEET', '127.0.0.1', String(two.port)], ['CLUSTER', 'ADDSLOTSRANGE', '0', '8191'])
  await two.send(['CLUSTER', 'ADDSLOTSRANGE', '8192', '16383'])
  for (const node of [one, two]) await node.until(['CLUSTER', 'INFO'], 'cluster_state:ok')
  const logs = await Promise.all([one, two].map(({ url }) => redisLog({ url })))
  t.teardown(() => Promise.all(logs.map((log) => log.close())))
  for (const log of logs) while (!(await log.ready())) await new Promise((resolve) => setTimeout(resolve, 10))
  const listening = await Promise.all(logs.map((log) => Listening.to(log)))
  await logs[0]?.append([toAlice('a')])
  await logs[1]?.append([
    toAlice('b', { channels: ['u:alice', 't:news'], idempotency: idempotent('k'), collapseKey: 'c', ttl: 9_999 })
  ])
  for (const each of listening) {
    await each.met('b')
    t.same(each.texts, ['a', 'b'])
  }
})

t.test('shares its connection with the other parts of a node', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const link = await redisLink({ url: redis.url, prefix: 'mine' })
  const changes: string[] = []
  const endUp = link.onUp(() => changes.push('up'))
  const endDown = link.onDown(() => changes.push('down'))
  await link.untilUp(5_000)
  t.equal(await link.send(['SET', link.key('a'), 'b']), 'OK')
  const other = link.duplicate()
  await other.untilUp(5_000)
  t.equal(await other.send(['GET', '{mine}:a']), 'b')
  await t.rejects(link.send(['NONSENSE']), { name: 'RedisReplyError', kind: 'ERR' })
  link.renew('the test says so')
  await t.rejects(link.send(['PING']), { name: 'LinkError', wasSent: false, message: /the test says so/ })
  await link.untilUp(5_000)
  t.same(changes, ['up', 'down', 'up'])
  endUp()
  endDown()
  const down = new Promise<string>((resolve) => link.onDown(resolve))
  await redis.kill()
  await down
  await t.rejects(link.untilUp(200), { name: 'LinkError' })
  link.close()
  link.close()
  other.close()
  await t.rejects(link.untilUp(5_000), { name: 'LinkError', message: /closed/ })
  t.same(changes, ['up', 'down', 'up'])
})
