import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, createCluster, createSentinel } from 'redis'
import t, { type Test } from 'tap'
import { type RedisLog, type RedisLogOptions, redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { isThorough } from '../support/effort.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { Listening, toAlice } from '../support/tail-listener.ts'
import { startHub } from '../support/test-hub.ts'
import { until, untilSame } from '../support/test-node.ts'

t.setTimeout(240_000)

const MASTER = 'hub-master'
const PASSWORD = 's3cret/@:'
const SLOTS = 16_384

async function open(t: Test, options: RedisLogOptions): Promise<{ log: RedisLog; listening: Listening }> {
  const log = await redisLog({ timeout: 1_000, ...options })
  t.teardown(() => log.close())
  return { log, listening: await Listening.to(log) }
}

/** Appends until the event is accepted: without a master, events are rejected. */
async function append(log: RedisLog, text: string): Promise<void> {
  await until(
    () =>
      log.append([toAlice(text)]).then(
        () => '',
        ({ message }: Error) => message
      ),
    (problem) => problem === '',
    `"${text}" to be accepted`
  )
}

/** A master, a replica and three Sentinels, all with a password for the servers. */
async function startSentinels(t: Test) {
  const args = ['--requirepass', PASSWORD, '--masterauth', PASSWORD]
  const servers = [await RedisServer.start({ args }), await RedisServer.start({ args })] as const
  const [master, replica] = servers
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-sentinels-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const server of servers) t.teardown(() => server.stop())
  await replica.sendAs(PASSWORD, ['REPLICAOF', '127.0.0.1', String(master.port)])
  await until(
    () => replica.sendAs(PASSWORD, ['ROLE']),
    (role) => String(role).includes('connected'),
    'the replica'
  )
  const sentinels: RedisServer[] = []
  for (let at = 0; at < 3; at++) {
    const config = join(folder, `${at}.conf`)
    writeFileSync(
      config,
      [
        `sentinel monitor ${MASTER} 127.0.0.1 ${master.port} 2`,
        `sentinel auth-pass ${MASTER} ${PASSWORD}`,
        `sentinel down-after-milliseconds ${MASTER} 700`,
        `sentinel failover-timeout ${MASTER} 3000`
      ].join('\n')
    )
    const sentinel = await RedisServer.start({ sentinelConfig: config })
    t.teardown(() => sentinel.stop())
    sentinels.push(sentinel)
  }
  for (const sentinel of sentinels) {
    const isReady = (logged: unknown) => /slaves=1,sentinels=3/.test(String(logged))
    await until(() => sentinel.send(['INFO', 'sentinel']), isReady, 'the Sentinels to know each other', 60_000)
  }
  return { master, replica, sentinels }
}

t.test('with Sentinels, the log follows the master', { skip: withoutRedis }, async (t) => {
  const { master, replica, sentinels } = await startSentinels(t)
  const sentinelRootNodes = [
    { host: '127.0.0.1', port: 1 },
    ...sentinels.map(({ port }) => ({ host: '127.0.0.1', port }))
  ]
  const settings = { name: MASTER, sentinelRootNodes, nodeClientOptions: { password: PASSWORD } }
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
  const url = `redis+sentinel://:${encodeURIComponent(PASSWORD)}@${hosts}/${MASTER}/0`
  const factory = async () => {
    const sentinel = createClient({ url: (sentinels[1] as RedisServer).url })
    await sentinel.connect()
    const [host, port] = (await sentinel.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER])) as string[]
    sentinel.destroy()
    return createClient({ password: PASSWORD, socket: { host: String(host), port: Number(port) } })
  }
  const logs = [
    await open(t, { sentinel: settings }),
    await open(t, { url }),
    await open(t, { client: factory as never })
  ]
  const [first] = logs as [(typeof logs)[0]]
  const texts: string[] = []
  for (const [at, { log }] of logs.entries()) {
    await log.append([toAlice(`before ${at}`)])
    texts.push(`before ${at}`)
  }
  for (const { listening } of logs) await listening.met(texts.at(-1) as string)
  await until(
    () => replica.sendAs(PASSWORD, ['ROLE']),
    (role) => String(role).includes('connected'),
    'the replica to catch up'
  )
  const since = performance.now()
  await master.kill()
  await append(first.log, 'after the failover')
  t.comment(`events are accepted ${Math.round(performance.now() - since)} ms after the master died`)
  texts.push('after the failover')
  for (const [at, { log }] of logs.entries()) {
    await append(log, `after ${at}`)
    texts.push(`after ${at}`)
  }
  for (const { listening } of logs) {
    await listening.met(texts.at(-1) as string)
    t.same(listening.texts, texts)
  }
  if (!isThorough) return
  // The former master returns as a replica, after ten seconds; one Sentinel is gone; the log stays with the master,
  // also with new connections.
  await master.start()
  await (sentinels[0] as RedisServer).kill()
  // A Sentinel cuts the clients of a server that it makes a replica.
  await until(
    () => master.sendAs(PASSWORD, ['ROLE']).catch((error) => error),
    (role) => String(role).startsWith('slave'),
    'a replica',
    60_000
  )
  await replica.sendAs(PASSWORD, ['CLIENT', 'KILL', 'TYPE', 'normal'])
  await append(first.log, 'at the end')
  for (const { listening } of logs) await listening.met('at the end')
})

/** Starts nodes that share the slots, and waits until all know that. */
async function startCluster(t: Test, count: number): Promise<RedisServer[]> {
  const nodes: RedisServer[] = []
  for (let at = 0; at < count; at++) {
    const node = await RedisServer.start({ args: ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'] })
    t.teardown(() => node.stop())
    nodes.push(node)
  }
  for (const [at, node] of nodes.entries()) {
    const [from, to] = [Math.floor((at * SLOTS) / count), Math.floor(((at + 1) * SLOTS) / count) - 1]
    await node.send(['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to)])
    await node.send(['CLUSTER', 'MEET', '127.0.0.1', String((nodes[0] as RedisServer).port)])
  }
  for (const node of nodes) {
    const isReady = (logged: unknown) =>
      /cluster_state:ok/.test(String(logged)) && String(logged).includes(`cluster_known_nodes:${count}`)
    await until(() => node.send(['CLUSTER', 'INFO']), isReady, 'the cluster', 60_000)
  }
  return nodes
}

for (const count of [1, 3]) {
  t.test(`in a cluster of ${count}, all keys of a hub lie on one node`, { skip: withoutRedis }, async (t) => {
    const nodes = await startCluster(t, count)
    const rootNodes = [{ url: 'redis://127.0.0.1:1' }, ...nodes.map(({ url }) => ({ url }))]
    const url = `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`
    const hubs = [
      await startHub(t, await redisHub({ cluster: { rootNodes } })),
      await startHub(t, await redisHub({ url }))
    ] as const
    const { sink } = hubs[1].open({ user: 'bob' })
    await untilSame(() => hubs[0].hub.isOnline('bob'), true)
    t.equal((await hubs[0].hub.send('bob', { data: 'hello' })).streams, 1)
    await until(
      () => sink.events.map(({ data }) => data),
      (texts) => texts.includes('hello'),
      'the event'
    )
    t.match((await hubs[1].hub.history({ user: 'bob' })).events, [{ data: 'hello' }])
    t.equal(await hubs[0].hub.disconnect('bob'), 1)
    const sizes = await Promise.all(nodes.map((node) => node.send(['DBSIZE'])))
    t.equal(sizes.filter((size) => Number(size) > 0).length, 1, `keys of the nodes: ${sizes}`)
    if (count === 1) return
    // The slot moves to another node: the hub follows.
    const owner = nodes[sizes.findIndex((size) => Number(size) > 0)] as RedisServer
    const next = nodes[sizes.findIndex((size) => Number(size) === 0)] as RedisServer
    const slot = String(await owner.send(['CLUSTER', 'KEYSLOT', '{sse-hub}']))
    const [ownerId, nextId] = [
      String(await owner.send(['CLUSTER', 'MYID'])),
      String(await next.send(['CLUSTER', 'MYID']))
    ]
    await next.send(['CLUSTER', 'SETSLOT', slot, 'IMPORTING', ownerId])
    await owner.send(['CLUSTER', 'SETSLOT', slot, 'MIGRATING', nextId])
    const migrate = ['MIGRATE', '127.0.0.1', String(next.port), '', '0', '5000', 'KEYS']
    for (;;) {
      const keys = (await owner.send(['CLUSTER', 'GETKEYSINSLOT', slot, '100'])) as string[]
      if (keys.length === 0) break
      await owner.send([...migrate, ...keys])
    }
    for (const node of [next, owner, ...nodes]) await node.send(['CLUSTER', 'SETSLOT', slot, 'NODE', nextId])
    const send = () => hubs[0].hub.send('bob', { data: 'moved' }).catch(() => undefined)
    await until(send, Boolean, 'the event to be accepted')
    await until(
      () => hubs[1].hub.history({ user: 'bob' }).catch(() => ({ events: [] })),
      ({ events }) =>
        events
          .map(({ data }) => data)
          .join()
          .startsWith('hello,moved'),
      'the history'
    )
    await untilSame(() => hubs[0].hub.isOnline('bob').catch(() => true), false)
  })
}

t.test('errors name what is wrong with a URL, and never its content', async (t) => {
  const wrong: [object, RegExp][] = [
    [{ url: 'redis+sentinel://secret@host' }, /url/],
    [{ url: 'redis+sentinel://u:secret@host/name/x' }, /url/],
    [{ url: 'redis+sentinel://u:secret@host,/name' }, /url/],
    [{ url: 'redis+cluster://u:secret@host:99999' }, /url/],
    [{ url: 'redis+cluster://u:secret@host/3' }, /url/],
    [{ url: 'redis+cluster://u:%zz@host' }, /url/],
    [{ url: 'redis+other://u:secret@host' }, /url/],
    [{ url: 'redis://host', sentinel: {} }, /exactly one of/],
    [{ sentinel: {} }, /sentinel.*createSentinel/],
    [{ sentinel: { name: 'secret', sentinelRootNodes: [] } }, /sentinel/],
    [{ sentinel: { name: 'n', sentinelRootNodes: [{ host: 'secret' }] } }, /sentinel/],
    [{ cluster: { rootNodes: [] } }, /cluster.*createCluster/],
    [{ cluster: { rootNodes: ['secret'] } }, /cluster/],
    [
      { client: createSentinel({ name: 'secret', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }) },
      /client.*sentinel:/
    ],
    [{ client: createCluster({ rootNodes: [{ url: 'redis://secret' }] }) }, /client.*cluster:/]
  ]
  for (const [options, message] of wrong) {
    const error = await redisLog(options as RedisLogOptions).then(
      () => t.fail('was accepted'),
      (error: Error) => error
    )
    t.match(error, { code: 'SSE_HUB_ERR_INVALID_OPTION', message })
    t.notMatch(String(error), /secret/)
  }
})

t.test('Sentinels that cannot be reached, or know no such master, are named as the reason', async (t) => {
  const sentinel = { name: MASTER, sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }
  const warnings: string[] = []
  const logger = { info: () => {}, warn: (_details: object, message: string) => warnings.push(message) }
  await t.rejects(redisLog({ sentinel, logger }), {
    code: 'SSE_HUB_ERR_LOG_UNAVAILABLE',
    message: /no Sentinel knows the master: .*ECONNREFUSED/
  })
  t.same(warnings, [])
})
