import t from 'tap'
import { type FakeSink, settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const textOf = (sink: FakeSink): string[] => sink.published.map(({ data }) => data)

t.test('an event reaches everyone on a topic but the excepted users, live, from history, and transient', async (t) => {
  const { hub, open } = await startHub(t)
  const room = { topics: ['room'] }
  const start = hub.cursor()
  const alice = [open(room).sink, open({ topics: ['other', 'room'] }).sink]
  const others = [open({ user: 'bob', ...room }).sink, open({ user: null, ...room, follows: true }).sink]
  await settle()
  const except = { users: ['alice', 'carol'] }
  const { streams } = await hub.publish('room', { data: '1' }, { except })
  t.equal(streams, 2)
  t.equal((await hub.publish('room', { data: '2', transient: true }, { except })).streams, 2)
  await hub.publish('room', { data: '3' })
  await settle()
  for (const sink of alice) t.same(textOf(sink), ['3'])
  for (const sink of others) t.same(textOf(sink), ['1', '2', '3'])
  const back = open({ ...room, lastEventId: start })
  const bobsBack = open({ user: 'bob', ...room, lastEventId: start })
  await settle()
  t.same(textOf(back.sink), ['3'])
  t.same(textOf(bobsBack.sink), ['1', '3'])
  const welcome = (sink: FakeSink) => JSON.parse(sink.events[0]?.data ?? '{}')
  t.match(welcome(back.sink), { resumed: true, replayed: 1 })
  t.match(welcome(bobsBack.sink), { resumed: true, replayed: 2 })
  const { events } = await hub.history({ topic: 'room' })
  t.same(
    events.map(({ data }) => data),
    ['1', '3'],
    'the history for publishers has all'
  )
})

t.test('a target of users or of everyone excepts users, too', async (t) => {
  const { hub, open } = await startHub(t)
  const alice = open({ topics: ['room'] }).sink
  const bob = open({ user: 'bob' }).sink
  await settle()
  const except = { users: ['alice'] }
  const receipts = await hub.publishBatch([
    { to: { everyone: true, except }, data: '1' },
    { to: { users: ['alice', 'bob'], except }, data: '2' },
    { to: { users: ['bob'], topics: ['room'], except }, data: '3' },
    { to: { everyone: true, users: ['alice'], topics: ['room'], except }, data: '4' }
  ])
  t.same(
    receipts.map(({ streams }) => streams),
    [1, 1, 1, 1]
  )
  t.same(receipts[1]?.users, { alice: 0, bob: 1 })
  await settle()
  t.same(textOf(alice), [])
  t.same(textOf(bob), ['1', '2', '3', '4'])
  t.equal((await hub.broadcast({ data: '' }, { except })).streams, 1)
})

t.test('a stream passes pages of excepted events, and its position moves behind them', async (t) => {
  const { hub, open } = await startHub(t)
  const start = hub.cursor()
  const batch = Array.from({ length: 500 }, (_, at) => ({
    to: { topics: ['room'], except: { users: ['alice'] } },
    data: `${at}`
  }))
  await hub.publishBatch(batch)
  const { id } = await hub.publish('room', { data: 'the first for alice' })
  await hub.publishBatch(batch)
  const { sink, stream } = open({ topics: ['room'], lastEventId: start })
  await settle(40)
  t.same(textOf(sink), ['the first for alice'])
  t.equal(sink.events.find(({ data }) => data === 'the first for alice')?.id, id)
  t.notOk(sink.events.some(({ event }) => event === 'hub.gap'))
  await hub.publishBatch(batch)
  await hub.publish('room', { data: 'live' })
  await settle(40)
  t.same(textOf(sink), ['the first for alice', 'live'])
  stream.close('client')
  await hub.publishBatch(batch)
  const { sink: all } = open({ topics: ['room'], from: 'oldest' })
  const { sink: newest } = open({ topics: ['room'], last: 3 })
  await settle(40)
  t.same(textOf(all), ['the first for alice', 'live'])
  t.same(textOf(newest), [], 'the newest events are those of the topic')
})

t.test('a stream whose socket is full receives, after it, all events but those that except its user', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open({ topics: ['room'] })
  await settle()
  sink.room = 0
  const expected: string[] = []
  for (let at = 0; at < 300; at++) {
    const isFor = at % 3 === 0
    if (isFor) expected.push(`${at}`)
    await hub.publish('room', { data: `${at}` }, isFor ? {} : { except: { users: ['alice'] } })
    if (at === 5) await settle()
  }
  sink.drain()
  await settle()
  t.same(textOf(sink), expected)
})

t.test('undelivered is not emitted for an excepted user', async (t) => {
  const { hub } = await startHub(t)
  const missed: string[] = []
  hub.on('undelivered', ({ user }) => missed.push(user))
  await hub.publishBatch([{ to: { users: ['alice', 'bob'], except: { users: ['alice'] } }, data: '' }])
  t.same(missed, ['bob'])
})

t.test('excepted users are part of the content of an idempotency key', async (t) => {
  const { hub } = await startHub(t)
  const once = { data: '', idempotencyKey: 'k' }
  const { id } = await hub.publish('room', once, { except: { users: ['alice', 'bob'] } })
  t.equal((await hub.publish('room', once, { except: { users: ['bob', 'alice', 'bob'] } })).id, id, 'in any order')
  for (const options of [{}, { except: { users: ['alice'] } }])
    await t.rejects(hub.publish('room', once, options), { code: 'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED' })
})

t.test('an invalid exception is an error that names it, and nothing is published', async (t) => {
  const { hub } = await startHub(t)
  const many = Array.from({ length: 101 }, (_, at) => `user ${at}`)
  for (const [except, code, message] of [
    [null, 'INVALID_TARGET', /except: null; it is an object with users/],
    ['alice', 'INVALID_TARGET', /except: a string/],
    [{}, 'INVALID_TARGET', /except: /],
    [{ users: 'alice' }, 'INVALID_TARGET', /except: /],
    [{ users: [] }, 'INVALID_TARGET', /except\.users: .*at least one/],
    [{ users: ['alice'], topics: ['a'] }, 'INVALID_TARGET', /unknown property "topics" of except/],
    [{ users: ['a\nb'] }, 'INVALID_USER', /well-formed/],
    [{ users: many }, 'INVALID_TARGET', /101 excepted users; a target excepts at most 100/]
  ] as const) {
    const to = { topics: ['room'], except } as never
    await t.rejects(hub.publishBatch([{ to, data: '' }]), { code: `SSE_HUB_ERR_${code}`, message })
  }
  await t.rejects(hub.publishBatch([{ to: { except: { users: ['alice'] } }, data: '' }]), { message: /got nobody/ })
  await t.rejects(hub.publish('room', { data: '', final: true }, { except: { users: ['alice'] } }), {
    code: 'SSE_HUB_ERR_INVALID_DRAFT',
    message: /final event excepts no user/
  })
  await hub.publish('room', { data: '' }, { except: { users: many.slice(1) } })
  t.equal(hub.stats().published, 1)
})
