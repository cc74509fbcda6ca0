import t, { type Test } from 'tap'
import { RedisCluster } from '../../services/cluster/redis/redis-cluster.ts'
import { redisLink } from '../../services/event-log/redis/open-redis-log.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { TestNode, until, untilSame } from '../support/test-node.ts'

const LEASE = 1_000
const GRACE = 400

let prefixes = 0

interface Member {
  readonly node: TestNode
  readonly proxy: FaultProxy
  /** Ends the node without leaving. */
  kill(): void
}

interface Options {
  readonly isWatching?: boolean
  readonly presenceGrace?: number
}

function makeJoin(t: Test, server: RedisServer): (options?: Options) => Promise<Member> {
  const prefix = `presence${++prefixes}`
  return async ({ isWatching = true, presenceGrace = GRACE } = {}) => {
    const proxy = await FaultProxy.start(server.port)
    const link = await redisLink({ url: proxy.url, prefix, timeout: 500 })
    const cluster = new RedisCluster({ link, lease: LEASE })
    const node = new TestNode(cluster, { isWatching, presenceGrace })
    await cluster.join(node)
    t.teardown(async () => {
      await cluster.leave()
      link.close()
      await proxy.close()
    })
    return { node, proxy, kill: () => link.close() }
  }
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** All reports of all nodes, in the order of their text. */
const reportsOf = (members: readonly Member[]) => members.flatMap(({ node }) => node.reports).sort()

/** Waits until a mark that is set now would have been reported, so that the reports before it are complete. */
async function allReports(members: readonly Member[]): Promise<string[]> {
  const { node } = members[0] as Member
  const mark = `mark${++prefixes}`
  const stream = node.open(mark)
  await until(() => reportsOf(members).includes(`+${mark}`), Boolean, `the online of ${mark}`)
  node.end(stream)
  await until(() => reportsOf(members).includes(`-${mark}`), Boolean, `the offline of ${mark}`)
  return reportsOf(members).filter((report) => !report.slice(1).startsWith('mark'))
}

t.test('online and offline', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start({ isDurable: true })
  t.teardown(() => server.stop())

  t.test('each is reported once, to one node, for streams on any nodes', async (t) => {
    const join = makeJoin(t, server)
    const members = [await join(), await join(), await join()]
    const [one, two, three] = members.map(({ node }) => node) as [TestNode, TestNode, TestNode]
    const streams = [one.open('alice'), two.open('alice')]
    const bob = three.open('bob')
    two.open(null, { topics: ['x'], follows: true })
    await untilSame(() => reportsOf(members), ['+alice', '+bob'])
    one.end(streams[0] as (typeof streams)[0])
    three.end(bob)
    t.same(await allReports(members), ['+alice', '+bob', '-bob'])
    two.end(streams[1] as (typeof streams)[0])
    t.same(await allReports(members), ['+alice', '+bob', '-alice', '-bob'])
    one.open('bob')
    await untilSame(() => reportsOf(members).filter((report) => report === '+bob').length, 2)
  })

  t.test('a user who returns within the grace, to any node, a hundred times, is silent', async (t) => {
    const join = makeJoin(t, server)
    const members = [await join(), await join()]
    const nodes = members.map(({ node }) => node) as [TestNode, TestNode]
    let stream = nodes[0].open('alice')
    let at = 0
    for (let turn = 0; turn < 100; turn++) {
      ;(nodes[at] as TestNode).end(stream)
      if (turn % 10 === 0) await sleep(GRACE / 8)
      at = turn % 3 === 0 ? 1 - at : at
      stream = (nodes[at] as TestNode).open('alice')
      if (turn % 7 === 0) await sleep(5)
    }
    t.same(await allReports(members), ['+alice'])
  })

  t.test('a node that does not want reports leaves them to the others', async (t) => {
    const join = makeJoin(t, server)
    const silent = await join({ isWatching: false })
    silent.node.open('early')
    await sleep(LEASE)
    const members = [await join(), silent]
    const stream = silent.node.open('alice')
    await untilSame(() => reportsOf(members), ['+alice', '+early'])
    silent.node.end(stream)
    t.same(await allReports(members), ['+alice', '+early', '-alice'])
    t.same(silent.node.reports, [])
  })

  t.test('users of a node that leaves, and of one that dies, go offline unless they return elsewhere', async (t) => {
    const join = makeJoin(t, server)
    const [one, two, three] = [await join(), await join(), await join()]
    for (const user of ['moved', 'gone']) two.node.open(user)
    for (const user of ['rescued', 'lost']) three.node.open(user)
    const members = [one, two, three]
    await untilSame(() => reportsOf(members), ['+gone', '+lost', '+moved', '+rescued'])
    await two.node.nodes.leave()
    one.node.open('moved')
    await untilSame(() => reportsOf(members).filter((report) => report.startsWith('-')), ['-gone'])
    three.kill()
    one.node.open('rescued')
    const began = performance.now()
    await untilSame(() => reportsOf(members).filter((report) => report.startsWith('-')), ['-gone', '-lost'])
    const took = performance.now() - began
    t.ok(took >= GRACE, `offline after ${took} ms`)
    t.same(await allReports([one]), one.node.reports.filter((report) => !report.includes('mark')).sort())
    t.equal(reportsOf(members).filter((report) => report === '-lost').length, 1)
  })

  t.test('a node that was cut off for longer than lease and grace is online again', async (t) => {
    const join = makeJoin(t, server)
    const members = [await join(), await join()]
    const [one, two] = members as [Member, Member]
    two.node.open('alice')
    await untilSame(() => reportsOf(members), ['+alice'])
    two.proxy.cut()
    await untilSame(() => one.node.reports.includes('-alice'), true)
    two.proxy.restore()
    await untilSame(() => reportsOf(members), ['+alice', '+alice', '-alice'])
  })

  t.test('a report whose answer was lost is repeated', async (t) => {
    const join = makeJoin(t, server)
    const one = await join()
    const users = Array.from({ length: 200 }, (_, at) => `user${at}`)
    for (const [at, user] of users.entries()) {
      one.node.open(user)
      if (at % 20 === 0) {
        await sleep(60 + at / 20)
        one.proxy.cut()
        one.proxy.restore()
      }
    }
    await until(() => one.node.reports.length >= users.length, Boolean, 'all reports')
    t.same((await allReports([one])).length, users.length)
    t.same(new Set(one.node.reports.filter((report) => report.startsWith('+user'))).size, users.length)
  })

  t.test('users whom the store remembers from before a start go offline once', async (t) => {
    const join = makeJoin(t, server)
    const first = await join()
    for (const user of ['alice', 'bob']) first.node.open(user)
    await untilSame(() => first.node.reports, ['+alice', '+bob'])
    first.kill()
    await sleep(LEASE)
    // Long enough to join and to open a stream within it.
    const presenceGrace = 2_500
    const members = [await join({ presenceGrace }), await join({ presenceGrace })]
    ;(members[1] as Member).node.open('bob')
    await untilSame(() => reportsOf(members), ['-alice'])
    t.same(await allReports(members), ['-alice'])
  })
})

t.test('a restart of Redis is silent', { skip: withoutRedis }, async (t) => {
  for (const isDurable of [true, false]) {
    t.test(isDurable ? 'with its data' : 'without its data', async (t) => {
      const server = await RedisServer.start({ isDurable })
      t.teardown(() => server.stop())
      const join = makeJoin(t, server)
      const members = [await join({ presenceGrace: 2_500 }), await join({ presenceGrace: 2_500 })]
      const [one, two] = members.map(({ node }) => node) as [TestNode, TestNode]
      const reloaded = one.open('reloaded')
      const moved = one.open('moved')
      const leaving = two.open('leaving')
      for (const node of [one, two]) for (const user of ['both', 'alice']) node.open(user)
      await untilSame(() => reportsOf(members).length, 5)
      await server.kill()
      one.end(reloaded)
      one.end(moved)
      two.end(leaving)
      one.open('reloaded')
      two.open('moved')
      two.open('new')
      await sleep(isDurable ? 300 : 1_500)
      await server.start()
      await untilSame(() => one.nodes.countOfUser('new').catch(() => 0), 1)
      const expected = ['+alice', '+both', '+leaving', '+moved', '+new', '+reloaded', '-leaving']
      await untilSame(() => reportsOf(members), expected)
      t.same(await allReports(members), expected)
    })
  }
})
