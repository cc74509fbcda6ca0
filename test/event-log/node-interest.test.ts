import t from 'tap'
import type { LogState } from '../../services/event-log/redis/log-state.ts'
import {
  ALL,
  type InterestChange,
  NodeInterest,
  type Registration
} from '../../services/event-log/redis/node-interest.ts'
import { RecentEvents } from '../../services/event-log/redis/redis-recent-events.ts'
import { RedisTail } from '../../services/event-log/redis/redis-tail.ts'
import { StoreTime } from '../../services/event-log/redis/store-time.ts'
import { type Channel, EVERYONE } from '../../services/events/channel.ts'
import type { RedisLink } from '../../services/redis/link.ts'
import { effort } from '../support/effort.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { Random } from '../support/random.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
t.comment(`TEST_SEED=${SEED}`)

type Wanted = Channel | typeof ALL

const LINK_DOWN = 'the link is down'

/** The interests of one node as register.lua keeps them, and since which number each has been registered without a break. */
class RegisteredInterests {
  head = 0
  tail = ''
  last = ''
  /** The number of the next changes that fail before, or after, they were executed. */
  failsBefore = 0
  failsAfter = 0
  hasRoom = true
  readonly since = new Map<Wanted, number>()

  join(tail: string, name: string, isAll: boolean): void {
    this.tail = tail
    this.last = name
    this.since.clear()
    if (isAll) this.since.set(ALL, this.head)
  }

  register(tail: string, { before, name, added, ended }: InterestChange): number {
    if (tail !== this.tail) return 0
    if (this.last === name) return 1
    if (this.last !== before) return 0
    for (const channel of ended) this.since.delete(channel)
    if (added.length > 0 && added[0] !== ALL && !this.hasRoom) return -1
    for (const channel of added) if (!this.since.has(channel)) this.since.set(channel, this.head)
    this.last = name
    return 1
  }

  /** Whether all events of a channel after a number have come to the node. */
  passes(channel: Wanted, after: number): boolean {
    const since = Math.min(this.since.get(channel) ?? Infinity, this.since.get(ALL) ?? Infinity)
    return since <= after
  }
}

function openInterest(redis: RegisteredInterests, clock: FakeClock) {
  const gone: string[] = []
  const late: Channel[] = []
  let tail = ''
  let joins = 0
  const interest: NodeInterest = new NodeInterest({
    clock,
    isUp: () => true,
    register: async (change): Promise<Registration> => {
      const own = tail
      await turn()
      if (redis.failsBefore > 0 && redis.failsBefore-- > 0) throw new Error(LINK_DOWN)
      const outcome = redis.register(own, change)
      const head = { seq: redis.head, witness: 'x' }
      await turn()
      if (redis.failsAfter > 0 && redis.failsAfter-- > 0) throw new Error(LINK_DOWN)
      return { outcome, head, tail: own }
    },
    onGone: (id) => {
      gone.push(id)
      // As the tail does, on another connection.
      setImmediate(() => join())
    },
    onLate: (channels) => late.push(...channels)
  })
  const join = () => {
    const isAll = interest.isWanted
    const name = `join${++joins}`
    tail = `tail${joins}`
    redis.join(tail, name, isAll)
    interest.joined(tail, name, { seq: redis.head, witness: 'x' }, isAll)
  }
  join()
  return { interest, gone, late, join }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

async function settle(interest: NodeInterest): Promise<void> {
  for (let at = 0; at < 200; at++) {
    interest.retry()
    await turn()
  }
}

t.test('a channel that gets a listener while many others end stays registered', async (t) => {
  const redis = new RegisteredInterests()
  const clock = new FakeClock()
  const { interest } = openInterest(redis, clock)
  const channels = Array.from({ length: 2_000 }, (_, at): Channel => `u:${at}`)
  await interest.add(channels)
  interest.delete(channels)
  clock.advance(60_000)
  const last = channels.slice(-1)
  await interest.add(last)
  await settle(interest)
  t.same([...redis.since.keys()], last)
})

t.test('channels that are registered with all events are known, and end, like others', async (t) => {
  const redis = new RegisteredInterests()
  const clock = new FakeClock()
  const { interest } = openInterest(redis, clock)
  await Promise.all([interest.add([ALL]), interest.add(['u:alice'])])
  interest.delete([ALL])
  await settle(interest)
  t.same([...redis.since.keys()], ['u:alice'])
  t.ok(interest.isComplete(['u:alice', EVERYONE], redis.head))
  interest.delete(['u:alice'])
  clock.advance(60_000)
  await settle(interest)
  t.same([...redis.since.keys()], [])
})

t.test('a node knows exactly which events come to it, while changes fail and tails are lost', async (t) => {
  for (let run = 0; run < effort(60, 2_000); run++) {
    const random = new Random(SEED + run)
    const redis = new RegisteredInterests()
    const clock = new FakeClock()
    const { interest, join } = openInterest(redis, clock)
    const channels = Array.from({ length: random.chance(0.5) ? 1_500 : 6 }, (_, at): Channel => `u:${at}`)
    const counts = new Map<Wanted, number>()
    const problems: string[] = []
    const check = (each: Wanted, after: number, what: string) => {
      if (!redis.passes(each, after)) problems.push(`${each} ${what} in run ${SEED + run}`)
    }
    const add = async (added: readonly Wanted[]) => {
      for (const each of added) counts.set(each, (counts.get(each) ?? 0) + 1)
      if (random.chance(0.2) && !added.includes(ALL)) return interest.addAtOnce(added as Channel[])
      const before = redis.head
      await interest.add(added)
      if (before === redis.head && !interest.isLate && redis.failsBefore + redis.failsAfter === 0)
        for (const each of added) if (counts.has(each)) check(each, redis.head, 'is open and gets no events')
    }
    const remove = (removed: readonly Wanted[]) => {
      const listened = removed.filter((each) => counts.has(each))
      for (const each of listened) {
        const left = (counts.get(each) ?? 0) - 1
        if (left > 0) counts.set(each, left)
        else counts.delete(each)
      }
      interest.delete(listened)
    }
    const some = (): Wanted[] => {
      if (random.chance(0.05)) return [ALL]
      if (random.chance(0.3)) return channels
      return [...new Set([random.pick(channels), random.pick(channels)])]
    }
    for (let step = 0; step < 60; step++) {
      const action = random.weighted({ add: 30, remove: 30, turn: 30, idle: 10, before: 3, after: 3, join: 2, room: 1 })
      if (action === 'add') void add(some())
      else if (action === 'remove') remove(some())
      else if (action === 'turn') await turn()
      else if (action === 'idle') clock.advance(random.from(1, 80_000))
      else if (action === 'before') redis.failsBefore++
      else if (action === 'after') redis.failsAfter++
      else if (action === 'join') join()
      else redis.hasRoom = !redis.hasRoom
      interest.retry()
      redis.head++
      for (const each of channels.slice(0, 6))
        for (const after of [redis.head - 3, redis.head])
          if (interest.isComplete([each], after)) check(each, after, `is not complete after ${after}`)
    }
    redis.failsBefore = redis.failsAfter = 0
    await settle(interest)
    for (const each of counts.keys()) check(each, redis.head, 'has a listener and gets no events')
    t.equal(interest.isLate, false)
    t.same(problems.slice(0, 3), [])
    interest.close()
  }
})

/** A reply of a Redis whose log has this head, and whose tail of this node has no entry yet. */
const reply = (tail: string, nonce: string, registered: string, seq: number): LogState => ({
  epoch: 'epoch',
  head: { seq, witness: `epoch${seq}` },
  stats: { kind: 'redis', events: seq, bytes: 0, channels: 0, head: seq, hasInboxes: false },
  tail: { id: tail, pos: 0, nonce, registered },
  removed: { evicted: 0, expired: 0 },
  time: 0,
  loss: 0,
  born: 0,
  rest: []
})

t.test('the head does not move past events that are missing because Redis has lost interests', async (t) => {
  const clock = new FakeClock()
  const storeTime = new StoreTime(clock)
  const interest = new NodeInterest({
    clock,
    isUp: () => true,
    register: async ({ name }) => {
      state = reply(state.tail.id, state.tail.nonce, name, 1)
      return { outcome: 1, head: state.head, tail: state.tail.id }
    },
    onGone: () => t.fail('the tail is there'),
    onLate: () => {}
  })
  let state = reply('', '', '', 0)
  let renewed = 0
  let fail: (error: Error) => void = () => {}
  const link = {
    isUp: true,
    key: (name: string) => name,
    send: () =>
      new Promise((_, reject) => {
        fail = reject
      }),
    untilUp: async () => {},
    renew: () => renewed++,
    close: () => fail(new Error('closed'))
  } as unknown as RedisLink
  const heads: number[] = []
  const tail = new RedisTail({
    link,
    recent: new RecentEvents({ bytes: 1_000, age: 60_000, clock, storeTime }),
    storeTime,
    interest,
    where: async () => state,
    join: async (_, id, name) => {
      state = reply(id, name, name, 0)
      return state
    },
    now: () => clock.monotonic(),
    onEvents: () => {},
    onHead: ({ seq }) => heads.push(seq),
    onDiscontinuity: () => {},
    onFault: () => {}
  })
  await tail.start()
  const { id, nonce } = state.tail
  await interest.add(['u:alice'])
  const { registered } = state.tail
  tail.observe(reply(id, nonce, registered, 2))
  t.same([heads, renewed], [[2], 0])
  tail.observe(reply(id, nonce, nonce, 3))
  t.same([heads, renewed], [[2], 1], 'a reply without the last registration')
  tail.observe(reply(id, nonce, registered, 4))
  t.same([heads, renewed], [[2, 4], 1])
  interest.close()
  await tail.close()
})

t.test('a stream that opens while the log is closed waits for nothing', async (t) => {
  const { interest } = openInterest(new RegisteredInterests(), new FakeClock())
  interest.close()
  t.equal(interest.add(['u:alice']), undefined)
  interest.addAtOnce(['u:bob'])
  t.equal(interest.isLate, false)
})
