import fc from 'fast-check'
import t from 'tap'
import { SINGLE_NODE } from '../../services/cluster/single-node.ts'
import { type Channel, EVERYONE, topicChannel, userChannel } from '../../services/events/channel.ts'
import { compareNames } from '../../services/events/utf8-order.ts'
import { Presence } from '../../services/hub/presence.ts'
import { CompactIndex } from '../../services/streams/compact-index.ts'
import { EventStream } from '../../services/streams/event-stream.ts'
import type { StreamHost, StreamInit } from '../../services/streams/stream-host.ts'
import { StreamRegistry } from '../../services/streams/stream-registry.ts'
import { FakeSink } from '../support/fake-sink.ts'
import { sharing } from '../support/shared-counts.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

// The index

t.test('an index holds the members of each key in the order of addition, each once', async (t) => {
  const index = new CompactIndex<string, object>()
  const [one, two, three] = [{}, {}, {}]
  t.strictSame([...index.get('a')], [])
  for (const member of [two, one, two, three, one]) index.add('a', member)
  index.add('b', one)
  index.add('b', one)
  t.equal(index.count('a'), 3)
  t.equal(index.count('b'), 1)
  const members = [...index.get('a')]
  t.ok(members[0] === two && members[1] === one && members[2] === three)
  t.equal(index.size, 2)
})

t.test('an index behaves like a map of sets through any additions and deletions', async (t) => {
  const members = Array.from({ length: 4 }, (_, number) => ({ number }))
  const step = fc.record({ isAdded: fc.boolean(), key: fc.constantFrom('a', '__proto__'), member: fc.nat({ max: 3 }) })
  const property = fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
    const index = new CompactIndex<string, object>()
    const model = new Map<string, Set<object>>()
    for (const { isAdded, key, member: number } of steps) {
      const member = members[number] as object
      const set = model.get(key) ?? new Set()
      if (isAdded) {
        index.add(key, member)
        model.set(key, set.add(member))
      } else {
        index.delete(key, member)
        if (set.delete(member) && set.size === 0) model.delete(key)
      }
      const found = [...index.get(key)]
      const wanted = [...(model.get(key) ?? [])]
      if (found.length !== wanted.length || found.some((one, at) => one !== wanted[at])) return false
      if (index.count(key) !== wanted.length || index.size !== model.size) return false
    }
    return true
  })
  const result = fc.check(property, { seed, numRuns: 1_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
})

// The registry

interface Likeness {
  readonly user: string | null
  readonly topics: readonly string[]
  readonly follows: boolean
  readonly address: string
}

let opened = 0

function makeStream({ user, topics, follows, address }: Likeness): EventStream {
  const id = `stream${++opened}`
  const init: StreamInit = {
    id,
    user,
    address,
    topics,
    follows,
    beginning: { from: 'head', opened: undefined, resumes: false, isUnknown: false },
    since: Date.UTC(2026, 0, 1)
  }
  return new EventStream({ now: 0 } as StreamHost<EventStream>, new FakeSink(), init)
}

const USERS = ['alice', 'bob', '__proto__']
const TOPICS = ['news', 'alice', 'everyone']
const ADDRESSES = ['', '10.0.0.1', '10.0.0.2']
const CHANNELS: Channel[] = [EVERYONE, ...USERS.map(userChannel), ...TOPICS.map(topicChannel), 'u:nobody', 't:nothing']

const likeness: fc.Arbitrary<Likeness> = fc.record({
  user: fc.constantFrom(null, ...USERS),
  topics: fc.uniqueArray(fc.constantFrom(...TOPICS)),
  follows: fc.boolean(),
  address: fc.constantFrom(...ADDRESSES)
})

/** The expected result of the registry, by a search through all streams. */
function listenersAmong(streams: readonly EventStream[], channel: Channel): EventStream[] {
  return streams.filter(({ user, topics, follows }) => {
    if (channel === EVERYONE) return !follows
    return topics.some((topic) => channel === `t:${topic}`) || (!follows && user !== null && channel === `u:${user}`)
  })
}

function isSame(found: Iterable<EventStream>, wanted: readonly EventStream[]): boolean {
  const list = [...found]
  return list.length === wanted.length && list.every((stream, at) => stream === wanted[at])
}

function findsAll(registry: StreamRegistry, streams: readonly EventStream[], asked: readonly Channel[]): boolean {
  const users = new Set(streams.map(({ user }) => user).filter((user) => user !== null))
  const listening = new Set(asked.flatMap((channel) => listenersAmong(streams, channel)))
  return (
    registry.size === streams.length &&
    registry.users === users.size &&
    registry.usersAfter('', users.size + 1).join() === [...users].sort(compareNames).join() &&
    isSame(registry.all(), streams) &&
    streams.every((stream) => registry.get(stream.id) === stream) &&
    CHANNELS.every((channel) => isSame(registry.listeners(channel), listenersAmong(streams, channel))) &&
    CHANNELS.every((channel) => registry.countListeners([channel]) === listenersAmong(streams, channel).length) &&
    registry.countListeners(asked) === listening.size &&
    USERS.every((user) =>
      isSame(
        registry.ofUser(user),
        streams.filter((stream) => stream.user === user)
      )
    ) &&
    USERS.every((user) => registry.countOfUser(user) === streams.filter((stream) => stream.user === user).length) &&
    ADDRESSES.slice(1).every(
      (address) => registry.countOfAddress(address) === streams.filter((stream) => stream.address === address).length
    )
  )
}

t.test('the registry finds and counts the same streams as a search through all of them', async (t) => {
  const step = fc.oneof(
    { arbitrary: fc.record({ open: likeness }), weight: 3 },
    { arbitrary: fc.record({ close: fc.nat() }), weight: 2 }
  )
  const asked = fc.uniqueArray(fc.constantFrom(...CHANNELS))
  const property = fc.property(fc.array(step, { maxLength: 30, size: 'max' }), asked, (steps, channels) => {
    const registry = new StreamRegistry()
    const streams: EventStream[] = []
    for (const step of steps) {
      if ('open' in step) {
        const stream = makeStream(step.open)
        registry.add(stream)
        streams.push(stream)
      } else {
        const [stream] = streams.splice(step.close % Math.max(1, streams.length), 1)
        if (stream === undefined) continue
        registry.delete(stream)
        registry.delete(stream)
        if (registry.get(stream.id) !== undefined) return false
      }
      if (!findsAll(registry, streams, channels)) return false
    }
    for (const stream of streams.splice(0)) registry.delete(stream)
    return findsAll(registry, [], channels)
  })
  const result = fc.check(property, { seed, numRuns: 1_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
})

t.test('a stream without an address counts for no address', async (t) => {
  const registry = new StreamRegistry()
  registry.add(makeStream({ user: 'alice', topics: [], follows: false, address: '' }))
  t.equal(registry.countOfAddress(''), 0)
})

t.test('limits count the streams of processes that share their counts', async (t) => {
  const registries = sharing().map((counts) => Object.assign(new StreamRegistry(), { shared: counts }))
  const [one, other] = registries as [StreamRegistry, StreamRegistry]
  const stream = makeStream({ user: 'alice', topics: [], follows: false, address: '192.0.2.1' })
  one.add(stream)
  other.add(makeStream({ user: 'bob', topics: [], follows: false, address: '' }))
  t.same([one.size, one.sharedSize, other.sharedSize], [1, 2, 2])
  t.equal(other.countOfAddress('192.0.2.1'), 1)
  one.delete(stream)
  one.delete(stream)
  t.same([one.sharedSize, other.sharedSize, other.countOfAddress('192.0.2.1')], [1, 1, 0])
})

// Presence

function presenceOf(...streams: readonly Partial<Likeness>[]): Presence {
  const registry = new StreamRegistry()
  for (const stream of streams) {
    registry.add(makeStream({ user: 'alice', topics: [], follows: false, address: '', ...stream }))
  }
  return new Presence(registry, SINGLE_NODE)
}

t.test('a user with a stream is online, and presence lists the topics of the user', async (t) => {
  const presence = presenceOf(
    { topics: ['news'] },
    {},
    { user: 'bob' },
    { user: null, topics: ['news'], follows: true }
  )
  t.equal(await presence.isOnline('alice'), true)
  t.equal(await presence.isOnline('carol'), false)
  const { user, online, streams } = await presence.of('alice')
  t.equal(user, 'alice')
  t.equal(online, true)
  t.strictSame(
    streams.map(({ since, topics }) => ({ since, topics })),
    [
      { since: '2026-01-01T00:00:00.000Z', topics: ['news'] },
      { since: '2026-01-01T00:00:00.000Z', topics: [] }
    ]
  )
  t.strictSame(await presence.of('carol'), { user: 'carol', online: false, streams: [] })
  t.equal(presence.countListeners(['t:news', 'u:bob']), 3)
})

t.test('online users are listed in pages of any size, in the order of names, each once', async (t) => {
  const names = ['b', 'a', 'é', '10', '9', 'B', '☃', '😀', 'a a', '__proto__']
  const presence = presenceOf(...names.map((user) => ({ user })), { user: 'b' })
  for (let limit = 1; limit <= names.length + 1; limit++) {
    const listed: string[] = []
    let after = ''
    for (let page = await presence.page(after, limit); ; page = await presence.page(after, limit)) {
      t.ok(page.users.length <= limit)
      listed.push(...page.users.map(({ user }) => user))
      if (page.next === null) break
      after = page.next
    }
    t.strictSame(listed, [...names].sort(), `${limit} a page`)
  }
  t.equal((await presence.page('', names.length)).next, null, 'a page that is just full may be the last')
  const { users } = await presence.page('a a', 1)
  t.strictSame(users, [{ user: 'b', streams: 2 }])
  t.strictSame(await presenceOf().page('', 5), { users: [], next: null })
})
