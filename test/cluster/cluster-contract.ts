import type { Test } from 'tap'
import type { Cluster } from '../../services/cluster/cluster.ts'
import { EVERYONE } from '../../services/events/channel.ts'
import { makeEntry, TestNode, until, untilSame } from '../support/test-node.ts'

/** A new hub for each test, which nodes can join. */
export interface World {
  nodes(): Cluster | Promise<Cluster>
  /** Ends a node without leaving. */
  kill(nodes: Cluster): void
}

async function join(world: World, count: number, options: { replaceAbove?: number } = {}): Promise<TestNode[]> {
  const nodes: TestNode[] = []
  for (let at = 0; at < count; at++) nodes.push(new TestNode(await world.nodes(), options))
  for (const node of nodes) await node.nodes.join(node)
  // The first node learns of the others a moment later.
  for (const { nodes: each } of nodes) await untilSame(() => each.isSingleNode, count === 1)
  return nodes
}

/** The contract of the cluster port, for every adapter. */
export function clusterContract(t: Test, makeWorld: (t: Test) => Promise<World>): void {
  t.test('a single node knows that it is single, and counts nothing elsewhere', async (t) => {
    const [one] = (await join(await makeWorld(t), 1)) as [TestNode]
    one.open('alice')
    t.equal(one.nodes.isSingleNode, true)
    t.same(await one.nodes.countListeners([['u:alice'], [EVERYONE]]), [0, 0])
    t.same(await one.nodes.ofUser('alice'), [])
    t.equal(await one.nodes.countOfUser('alice'), 0)
    t.same(await one.nodes.users('', 10), [])
    t.equal(await one.nodes.close({ of: { user: 'alice' }, reason: 'kicked' }), 0)
    t.same(one.nodes.elsewhere, { users: 0, streams: 0 })
    t.same(one.closed, [])
    await one.nodes.leave()
  })

  t.test('each node learns the streams of the others, and does not count its own', async (t) => {
    const [one, two, three] = (await join(await makeWorld(t), 3)) as [TestNode, TestNode, TestNode]
    const mine = one.open('alice', { topics: ['news', 'a "quoted" topic ☃'] })
    const other = two.open('alice')
    two.open('bob')
    await untilSame(() => one.nodes.ofUser('bob').then(({ length }) => length), 1)
    await untilSame(() => three.nodes.countOfUser('alice'), 2)
    const seen = (await three.nodes.ofUser('alice')).map(({ id, since, topics }) => ({ id, since, topics }))
    t.same(
      seen.sort((a, b) => a.since - b.since),
      [
        { id: mine.id, since: mine.since, topics: ['news', 'a "quoted" topic ☃'] },
        { id: other.id, since: other.since, topics: [] }
      ]
    )
    t.equal(await one.nodes.countOfUser('alice'), 1)
    t.equal(await two.nodes.countOfUser('alice'), 1)
    t.equal(await two.nodes.countOfUser('bob'), 0)
    two.end(other)
    await untilSame(() => one.nodes.countOfUser('alice'), 0)
    await untilSame(() => three.nodes.countOfUser('alice'), 1)
  })

  t.test('listeners elsewhere are counted exactly for one channel, for users, and for everyone', async (t) => {
    const [one, two, three] = (await join(await makeWorld(t), 3)) as [TestNode, TestNode, TestNode]
    one.open('alice', { topics: ['news'] })
    two.open('alice', { topics: ['news'] })
    two.open('alice', { topics: ['news'], follows: true })
    two.open(null, { topics: ['task'], follows: true })
    three.open('bob', { topics: ['news', 'sport'] })
    const last = three.open('carol', { topics: ['sport', 'news'] })
    const ask = () =>
      one.nodes.countListeners([
        ['u:alice'],
        ['u:alice', 'u:bob', 'u:nobody'],
        ['t:news'],
        ['t:task'],
        ['t:none'],
        [EVERYONE],
        [EVERYONE, 'u:bob', 't:sport'],
        [EVERYONE, 't:task']
      ])
    await untilSame(ask, [1, 2, 4, 1, 0, 3, 3, 4])
    const [several] = await one.nodes.countListeners([['t:news', 't:sport']])
    t.ok(
      (several as number) >= 4 && (several as number) <= 6,
      `${several} may count a stream that listens to both twice`
    )
    three.end(last)
    await untilSame(ask, [1, 2, 3, 1, 0, 2, 2, 3])
    const asked = [['t:news'], ['u:alice', 'u:bob'], [EVERYONE], ['t:news', 'u:bob'], ['t:task'], ['t:news']] as const
    const except = [['alice'], ['bob', 'nobody'], ['alice', 'bob'], ['bob'], ['alice'], []]
    t.same(await one.nodes.countListeners(asked, except), [1, 1, 0, 2, 1, 3], 'without the excepted users')
    const [without, all] = await Promise.all([
      one.nodes.countListeners([['t:news']], [['bob']]),
      one.nodes.countListeners([['t:news'], ['u:bob']])
    ])
    t.same([without, all], [[2], [3, 1]], 'also in one query with others that except no user')
  })

  t.test('it is known for many users at once whether they have a stream elsewhere', async (t) => {
    const [one, two, three] = (await join(await makeWorld(t), 3)) as [TestNode, TestNode, TestNode]
    one.open('mine')
    two.open('alice')
    three.open('alice')
    three.open('bob')
    await untilSame(
      () => one.nodes.areOnline(['alice', 'mine', 'bob', 'carol']) as Promise<boolean[]>,
      [true, false, true, false]
    )
    t.same(await one.nodes.areOnline([]), [])
  })

  t.test('topics and users with strange names are kept apart', async (t) => {
    const [one, two] = (await join(await makeWorld(t), 2)) as [TestNode, TestNode]
    const names = ['__proto__', 'streams', 'everyone', 'u:a', 'f:a', 'a', ' ', '☃😀', '{x}', '"', '*', 'x'.repeat(256)]
    for (const name of names) two.open(name, { topics: [name] })
    await untilSame(() => one.nodes.countListeners([[EVERYONE]]), [names.length])
    for (const name of names) {
      t.same(await one.nodes.countListeners([[`u:${name}`], [`t:${name}`]]), [1, 1], name)
      t.match(await one.nodes.ofUser(name), [{ topics: [name] }], name)
    }
  })

  t.test('users elsewhere are listed in order, after a name, up to a limit', async (t) => {
    const [one, two, three] = (await join(await makeWorld(t), 3)) as [TestNode, TestNode, TestNode]
    for (const user of ['b', '😀', '\uffee', 'a']) two.open(user)
    for (const user of ['b', 'c', 'é']) three.open(user)
    three.open('b')
    one.open('mine')
    const all = [
      { user: 'a', streams: 1 },
      { user: 'b', streams: 3 },
      { user: 'c', streams: 1 },
      { user: 'é', streams: 1 },
      { user: '\uffee', streams: 1 },
      { user: '😀', streams: 1 }
    ]
    await untilSame(() => one.nodes.users('', 10) as Promise<typeof all>, all)
    for (let limit = 1; limit <= all.length; limit++) {
      t.same(await one.nodes.users('', limit), all.slice(0, limit))
      t.same(await one.nodes.users('b', limit), all.slice(2, 2 + limit))
    }
    t.same(await one.nodes.users('😀', 5), [])
  })

  t.test('the number of users elsewhere is known without a request', async (t) => {
    const [one, two, three] = (await join(await makeWorld(t), 3)) as [TestNode, TestNode, TestNode]
    one.open('alice')
    two.open('alice')
    two.open('bob')
    three.open('bob')
    three.open(null, { topics: ['x'], follows: true })
    await untilSame(() => one.nodes.elsewhere, { users: 1, streams: 4 })
    await untilSame(() => two.nodes.elsewhere, { users: 0, streams: 3 })
  })

  t.test('a command closes the streams of a user on all other nodes, and counts them', async (t) => {
    const [one, two, three] = (await join(await makeWorld(t), 3)) as [TestNode, TestNode, TestNode]
    for (const node of [one, two, three]) node.open('alice')
    three.open('alice')
    three.open('bob')
    t.equal(await one.nodes.close({ of: { user: 'alice' }, reason: 'kicked', reconnect: true }), 3)
    t.same([one.closed, two.closed, three.closed], [[], ['alice kicked'], ['alice kicked', 'alice kicked']])
    t.equal(await two.nodes.close({ of: { user: 'alice' }, reason: 'kicked' }), 1)
    await untilSame(() => two.nodes.countListeners([['u:alice'], ['u:bob']]), [0, 1])
  })

  t.test('a command closes streams by their ids, on any node', async (t) => {
    const [one, two, three] = (await join(await makeWorld(t), 3)) as [TestNode, TestNode, TestNode]
    const [a, b] = [two.open('alice'), three.open('bob')]
    two.open('alice')
    t.equal(await one.nodes.close({ of: { streams: [a.id, b.id, 'none'] }, reason: 'kicked' }), 2)
    t.same([two.closed, three.closed], [['alice kicked'], ['bob kicked']])
  })

  t.test('commands that cross each other are all answered', async (t) => {
    const nodes = await join(await makeWorld(t), 3)
    for (const node of nodes) for (let user = 0; user < 30; user++) node.open(`u${user}`)
    const closing = Array.from({ length: 30 }, (_, user) =>
      (nodes[user % 3] as TestNode).nodes.close({ of: { user: `u${user}` }, reason: 'kicked' })
    )
    t.same(await Promise.all(closing), Array(30).fill(2))
  })

  t.test('for a user with too many streams, the oldest is closed, on any node', async (t) => {
    const nodes = (await join(await makeWorld(t), 3, { replaceAbove: 3 })) as [TestNode, TestNode, TestNode]
    const closed = () => nodes.map((node) => node.closed.length)
    for (const [at, expected] of [
      [0, [0, 0, 0]],
      [1, [0, 0, 0]],
      [2, [0, 0, 0]],
      [1, [1, 0, 0]],
      [2, [1, 1, 0]],
      [2, [1, 1, 1]]
    ] as [number, number[]][]) {
      const node = nodes[at] as TestNode
      node.open('alice')
      await untilSame(closed, expected)
      const sum = nodes.reduce((total, each) => total + each.countOfUser('alice'), 0)
      await untilSame(() => node.nodes.countOfUser('alice'), sum - node.countOfUser('alice'))
    }
    t.same(
      nodes.map((node) => node.closed),
      Array(3).fill(['alice replaced'])
    )
  })

  t.test('a stream that has just been opened is never closed for itself', async (t) => {
    const [one, two] = (await join(await makeWorld(t), 2, { replaceAbove: 2 })) as [TestNode, TestNode]
    const ahead = Date.now() + 3_600_000
    one.open('alice', { since: ahead })
    one.open('alice', { since: ahead + 1 })
    await untilSame(() => two.nodes.countOfUser('alice'), 2)
    two.open('alice', { since: Date.now() })
    await untilSame(() => one.closed, ['alice replaced'])
    t.same(two.closed, [])
  })

  t.test(
    'of streams that request the last slots at once, on several nodes, exactly the limit is admitted',
    async (t) => {
      const nodes = await join(await makeWorld(t), 3)
      for (let round = 0; round < 5; round++) {
        const user = `user${round}`
        const entries = nodes.flatMap((node) => Array.from({ length: 4 }, () => ({ node, entry: makeEntry(user) })))
        const answers = await Promise.all(entries.map(({ node, entry }) => node.nodes.reserve(entry, 5)))
        t.equal(answers.filter((isIn) => isIn).length, 5)
        for (const [at, { node, entry }] of entries.entries()) if (answers[at]) node.nodes.closed(entry, 0)
        await until(
          () => (nodes[0] as TestNode).nodes.reserve(makeEntry(user), 1),
          (isIn) => isIn,
          'a slot that was released'
        )
      }
    }
  )

  t.test('a node that leaves is no longer counted', async (t) => {
    const [one, two, three] = (await join(await makeWorld(t), 3)) as [TestNode, TestNode, TestNode]
    two.open('alice', { topics: ['news'] })
    three.open('bob')
    await untilSame(() => one.nodes.countListeners([[EVERYONE]]), [2])
    await two.nodes.leave()
    await untilSame(() => one.nodes.countListeners([['u:alice'], ['t:news'], [EVERYONE]]), [0, 0, 1])
    // Under load the lease of a node may expire between two queries; it then joins anew.
    await untilSame(() => one.nodes.users('', 10) as Promise<object[]>, [{ user: 'bob', streams: 1 }])
    await untilSame(() => one.nodes.elsewhere, { users: 1, streams: 1 })
    await three.nodes.leave()
    await untilSame(() => one.nodes.isSingleNode, true)
    await two.nodes.leave()
  })

  t.test('a node that died is no longer counted after its lease, and delays no other', async (t) => {
    const world = await makeWorld(t)
    const [one, two] = (await join(world, 2, { replaceAbove: 1 })) as [TestNode, TestNode]
    for (let user = 0; user < 1_200; user++) two.open(`user${user}`, { topics: ['news'] })
    await untilSame(() => one.nodes.countListeners([['t:news']]), [1_200])
    world.kill(two.nodes)
    await untilSame(() => one.nodes.countListeners([['t:news'], ['u:user7'], [EVERYONE]]), [0, 0, 0])
    t.equal(await one.nodes.countOfUser('user7'), 0)
    t.same(await one.nodes.users('', 3), [])
    await untilSame(() => one.nodes.isSingleNode, true)
    await untilSame(() => one.nodes.elsewhere, { users: 0, streams: 0 })
    one.open('user7')
    t.equal(await one.nodes.close({ of: { user: 'user7' }, reason: 'kicked' }), 0)
    t.same(one.closed, [])
  })

  t.test('streams that open and close a thousand times are counted exactly in the end', async (t) => {
    const nodes = (await join(await makeWorld(t), 2)) as [TestNode, TestNode]
    const [one, two] = nodes
    const retained: ReturnType<TestNode['open']>[] = []
    for (let turn = 0; turn < 3_000; turn++) {
      if (turn % 3 === 2) two.end(retained.splice((turn * 7) % retained.length, 1)[0] as (typeof retained)[0])
      else retained.push(two.open(`user${turn % 50}`, { topics: [`t${turn % 20}`], follows: turn % 10 === 0 }))
      if (turn % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const users = Array.from({ length: 50 }, (_, user) => [`u:user${user}` as const])
    const topics = Array.from({ length: 20 }, (_, topic) => [`t:t${topic}` as const])
    const expected = [...users, ...topics, [EVERYONE]].map(([channel]) => two.countListeners(channel as 'u:'))
    await untilSame(() => one.nodes.countListeners([...users, ...topics, [EVERYONE]]) as Promise<number[]>, expected)
    await untilSame(() => one.nodes.elsewhere.streams, two.size)
  })

  t.test('one node at a time has a role, and another takes it after a release or a death', async (t) => {
    const world = await makeWorld(t)
    const [one, two, three] = (await join(world, 3)) as [TestNode, TestNode, TestNode]
    const hold = (node: TestNode, role = 'mail') => node.nodes.hold(role)
    const firsts = await Promise.all([one, two, three].map((node) => hold(node, 'race')))
    t.equal(firsts.filter((time) => time > 0).length, 1, 'of simultaneous ones')
    t.ok((await hold(one)) > 0)
    t.ok((await hold(one)) > 0, 'which may extend it')
    t.equal(await hold(two), 0)
    t.ok((await hold(two, 'other')) > 0, 'roles are independent')
    await two.nodes.release('mail')
    t.equal(await hold(three), 0, 'a node releases only its own role')
    await one.nodes.release('mail')
    t.ok((await hold(two)) > 0)
    world.kill(two.nodes)
    await until(
      () => hold(three),
      (time) => time > 0,
      'the role of a node that died'
    )
  })
}
