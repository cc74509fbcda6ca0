import fc from 'fast-check'
import t from 'tap'
import { Acknowledgements } from '../../services/cluster/redis/acknowledgements.ts'
import { BEGIN, JOIN, RENEW, WRITE } from '../../services/cluster/redis/cluster-scripts.ts'
import { parseNodeCommand } from '../../services/cluster/redis/command-stream.ts'
import { Counts } from '../../services/cluster/redis/counts.ts'
import { Membership } from '../../services/cluster/redis/membership.ts'
import { PresenceChanges, parseText, textOf } from '../../services/cluster/redis/presence-changes.ts'
import type { LuaScript, RedisLink } from '../../services/redis/link.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { settle } from '../support/fake-sink.ts'
import { NodeNetwork } from '../support/node-network.ts'
import { makeEntry, TestNode } from '../support/test-node.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

// The command stream

t.test('valid commands are parsed, and nothing else', async (t) => {
  const command = { of: { user: 'alice' }, reason: 'kicked' }
  for (const message of [
    { joined: true },
    { answer: 'id', node: 'n', closed: 3 },
    { command, from: 'n', id: 'id' },
    { command: { of: { streams: ['a', 'b'] }, reason: 'replaced', reconnect: false } }
  ]) {
    t.match(parseNodeCommand(JSON.stringify(message)), message)
  }
  for (const text of [
    '',
    'null',
    '5',
    '"joined"',
    '[]',
    '{',
    '{"joined":1}',
    '{"answer":"id","node":"n"}',
    '{"answer":"id","node":"n","closed":"3"}',
    '{"command":null}',
    '{"command":{"of":null,"reason":"kicked"}}',
    '{"command":{"of":{},"reason":"kicked"}}',
    '{"command":{"of":{"user":5},"reason":"kicked"}}',
    '{"command":{"of":{"streams":[5]},"reason":"kicked"}}',
    '{"command":{"of":{"user":"a"},"reason":"because"}}',
    '{"command":{"of":{"user":"a"},"reason":"kicked","reconnect":"no"}}',
    '{"command":{"of":{"user":"a"},"reason":"kicked"},"from":5}'
  ]) {
    t.equal(parseNodeCommand(text), undefined, text)
  }
})

t.test('no text in the command stream can throw', async (t) => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.object().map((value) => JSON.stringify({ command: value }))
  )
  const result = fc.check(
    fc.property(text, (command) => {
      parseNodeCommand(command)
    }),
    { seed, numRuns: 2_000 }
  )
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? 'holds')
})

t.test('an entry of a stream is read as it was written, with any topics', async (t) => {
  const topics = fc.array(fc.string({ minLength: 1 }), { maxLength: 5 })
  const property = fc.property(topics, (topics) => {
    const entry = makeEntry('alice', { topics })
    const { id, topics: read } = parseText(textOf(entry))
    return id === entry.id && JSON.stringify(read) === JSON.stringify(topics)
  })
  const result = fc.check(property, { seed, numRuns: 1_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? 'holds')
})

// Answers

t.test('answers are added up until all have come', async (t) => {
  const answers = new Acknowledgements(new FakeClock())
  const gathering = answers.gather('id', 2_000, async () => ['a', 'b'])
  answers.take('id', 'a', 2)
  answers.take('id', 'a', 2)
  answers.take('other', 'b', 5)
  await settle()
  answers.take('id', 'b', 3)
  t.equal(await gathering, 5, 'each node counts once, also if its answer comes before the request')
  answers.take('id', 'c', 1)
})

t.test('dead nodes are not waited for, and silent ones not for long', async (t) => {
  const clock = new FakeClock()
  const answers = new Acknowledgements(clock)
  const one = answers.gather('one', 2_000, async () => ['a', 'b'])
  const two = answers.gather('two', 2_000, async () => ['a', 'b'])
  await settle()
  answers.take('one', 'a', 1)
  answers.retainLive(['a'])
  t.equal(await one, 1)
  clock.advance(2_000)
  t.equal(await two, 0)
  t.equal(clock.timers, 0)
  t.equal(await answers.gather('none', 2_000, async () => []), 0)
})

t.test('a command that was not sent is an error', async (t) => {
  const clock = new FakeClock()
  const answers = new Acknowledgements(clock)
  await t.rejects(
    answers.gather('id', 2_000, () => Promise.reject(new Error('lost'))),
    { message: 'lost' }
  )
  const silent = answers.gather('id', 2_000, () => new Promise<string[]>(() => {}))
  clock.advance(2_000)
  await t.rejects(silent, { code: 'SSE_HUB_ERR_CLUSTER_UNAVAILABLE' })
  t.equal(clock.timers, 0)
})

// Counting

t.test('counts of one turn are one request, and each caller gets its own answer', async (t) => {
  const requested: number[] = []
  const counts = new Counts(async (targets) => {
    requested.push(targets.length)
    return targets.map(([channel]) => Number(channel?.slice(2)))
  })
  const requests = Array.from({ length: 1_100 }, (_, at) => counts.count([[`u:${at}`], [`u:${at * 2}`]]))
  t.same(
    await Promise.all(requests),
    requests.map((_, at) => [at, at * 2])
  )
  t.same(requested, [500, 500, 500, 500, 200])
})

t.test('a request that fails fails for all its callers', async (t) => {
  const counts = new Counts(() => Promise.reject(new Error('lost')))
  const answers = await Promise.allSettled([counts.count([['u:a']]), counts.count([['u:b']])])
  t.same(
    answers.map(({ status }) => status),
    ['rejected', 'rejected']
  )
})

// Presence changes

t.test('changes hold one entry per stream, and restored ones do not overwrite newer ones', async (t) => {
  const node = new TestNode(new NodeNetwork().nodes())
  const changes = new PresenceChanges(node)
  const stream = node.open('alice', { topics: ['news'] })
  changes.note(stream, 'opened')
  const batch = changes.take()
  t.same(JSON.parse(batch.json), {
    opened: [['alice', `${stream.id} ["news"]`, stream.since, true, false]],
    closed: [],
    counts: [
      ['streams', 1],
      ['everyone', 1],
      ['t:news', 1]
    ]
  })
  t.equal(changes.isEmpty, true)
  node.end(stream)
  changes.note(stream, 'closed', 5_000)
  changes.putBack(batch)
  t.same(JSON.parse(changes.take().json), {
    opened: [],
    closed: [['alice', `${stream.id} ["news"]`, 5_000]],
    counts: [
      ['streams', 0],
      ['everyone', 0],
      ['t:news', 0]
    ]
  })
  changes.putBack(batch)
  t.equal(changes.isEmpty, false)
})

// Membership

t.test('a node that leaves while its changes are written does not join anew', async (t) => {
  const answers = new Map<LuaScript, unknown>([
    [BEGIN, ['0-0', 'life']],
    [JOIN, 1],
    [RENEW, [0, 0, 0, 0, 0]]
  ])
  const ran: LuaScript[] = []
  let write = (_answer: unknown) => {}
  const link = {
    isUp: true,
    untilUp: async () => {},
    onUp: () => () => {},
    run: async (script: LuaScript) => {
      ran.push(script)
      if (script !== WRITE) return answers.get(script) ?? 0
      return new Promise((resolve) => {
        write = resolve
      })
    }
  } as Partial<RedisLink> as RedisLink
  const node = new TestNode(new NodeNetwork().nodes())
  const clock = new FakeClock()
  const [onJoined, onLiveNodes] = [() => {}, () => {}]
  const membership = new Membership(node, { link, key: 'k', lease: 10_000, clock, onJoined, onLiveNodes })
  await membership.join()
  membership.note(node.open('alice'), 'opened')
  const written = membership.written()
  membership.refreshSoon()
  await settle()
  await membership.leave()
  write([0, 0])
  await written
  await settle()
  t.equal(ran.filter((script) => script === BEGIN).length, 1)
})
