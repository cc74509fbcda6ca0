import t from 'tap'
import type { WelcomeFunction } from '../../services/streams/welcome-fields.ts'
import { type FakeSink, settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const welcomeOf = (sink: FakeSink) => JSON.parse(sink.events[0]?.data ?? 'null')

t.test('a welcome function adds fields of the host to hub.welcome', async (t) => {
  const { open } = await startHub(t, { welcome: (stream) => ({ version: 7, for: stream.user, at: new Date(0) }) })
  const { sink, stream } = open()
  await settle()
  t.match(welcomeOf(sink), {
    stream: stream.id,
    user: 'alice',
    resumed: false,
    version: 7,
    for: 'alice',
    at: '1970-01-01T00:00:00.000Z'
  })
})

const MISTAKES: [string, (stream: unknown) => unknown][] = [
  [
    'throws',
    () => {
      throw new Error('a fault of the host')
    }
  ],
  ['returns a promise', async () => ({ version: 7 })],
  ['returns a promise that is rejected', () => Promise.reject(new Error('a fault of the host'))],
  ['returns nothing', () => undefined],
  ['returns null', () => null],
  ['returns an array', () => [1]],
  ['returns a text', () => 'version 7'],
  ['returns a map', () => new Map([['version', 7]])],
  ['returns a field of the hub', () => ({ user: 'mallory' })],
  ['returns a field that some hubs send', () => ({ unread: 5 })],
  ['returns too much', () => ({ text: 'x'.repeat(20_000) })],
  [
    'returns a cycle',
    () =>
      Object.assign(Object.create(null), {
        get self() {
          return this
        }
      })
  ],
  ['returns what JSON writes as a text', () => ({ toJSON: () => 'version 7' })],
  [
    'returns a hostile getter',
    () => ({
      get a() {
        throw new Error('a fault of the host')
      }
    })
  ]
]

for (const [what, mistake] of MISTAKES) {
  t.test(`a welcome function that ${what} is logged, and the plain welcome is sent`, async (t) => {
    const { open, logged } = await startHub(t, { welcome: mistake as WelcomeFunction })
    const { sink, stream } = open()
    await settle()
    t.same(welcomeOf(sink), {
      stream: stream.id,
      user: 'alice',
      topics: [],
      online: { users: 1, streams: 1 },
      heartbeatInterval: 15_000,
      resumed: false,
      replayed: 0
    })
    t.match(logged, [{ level: 'error', message: /welcome/ }])
    t.equal(logged.length, 1)
  })
}

t.test('a welcome function may send to its stream, or close it', async (t) => {
  const { hub, open, logged } = await startHub(t, {
    welcome: (stream) => {
      if (stream.user === 'alice') void stream.send({ data: 'mine' })
      else stream.close('kicked')
      return {}
    }
  })
  await hub.broadcast({ data: 'E' })
  const alice = open({ from: 'oldest' })
  const bob = open({ user: 'bob', from: 'oldest' })
  await settle()
  t.same(
    alice.sink.published.map(({ data }) => data),
    ['E', 'mine']
  )
  t.same(
    bob.sink.events.map(({ event }) => event),
    ['hub.close']
  )
  t.same(logged, [])
})

t.test('a welcome names the topics of the stream, and when its identity expires', async (t) => {
  const { open, clock } = await startHub(t)
  const { sink } = open({ topics: ['news', 'a/b'], expiresAt: clock.now() + 90_000 })
  await settle()
  t.match(welcomeOf(sink), { topics: ['news', 'a/b'], expiresAt: '2026-01-01T00:01:30.000Z', expiresIn: 90_000 })
  for (const expiresAt of [undefined, Number.POSITIVE_INFINITY, 9e15]) {
    const endless = open({ expiresAt })
    await settle()
    const welcome = welcomeOf(endless.sink)
    t.same(welcome.topics, [])
    t.notOk('expiresAt' in welcome || 'expiresIn' in welcome, `${expiresAt} is no date`)
  }
})
