import t, { type Test } from 'tap'
import type { Hub } from '../../services/hub/hub.ts'
import type { HubOptions } from '../../services/hub/options.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { startHub, type TestHub } from '../support/test-hub.ts'

const START = '2026-01-01T00:00:00.000Z'

/** Collects the changes of presence: `+user` or `-user`. */
function collect(hub: Hub): string[] {
  const changes: string[] = []
  hub.on('online', ({ user }) => changes.push(`+${user}`))
  hub.on('offline', ({ user }) => changes.push(`-${user}`))
  return changes
}

async function start(t: Test, options: Omit<HubOptions, 'clock'> = {}): Promise<TestHub & { changes: string[] }> {
  const started = await startHub(t, options)
  return { ...started, changes: collect(started.hub) }
}

t.test('a user is online with the first stream, and offline a grace after the last', async (t) => {
  const { hub, clock, open, changes } = await start(t)
  const times: string[] = []
  hub.on('online', ({ at }) => times.push(at))
  hub.on('offline', ({ at }) => times.push(at))
  const [one, two] = [open(), open()]
  open({ user: 'bob' })
  open({ user: null, topics: ['x'], follows: true })
  await settle()
  t.same(changes, ['+alice', '+bob'])
  one.stream.close('client')
  clock.advance(60_000)
  two.stream.close('client')
  clock.advance(4_999)
  await settle()
  t.same(changes, ['+alice', '+bob'])
  clock.advance(1_251)
  await settle()
  t.same(changes, ['+alice', '+bob', '-alice'])
  t.same(times, [START, START, '2026-01-01T00:01:05.000Z'])
  open()
  await settle()
  t.same(changes, ['+alice', '+bob', '-alice', '+alice'])
})

t.test('a page that is reloaded a hundred times is silent, and leaves no timer', async (t) => {
  const { clock, open, changes } = await start(t, { openingRate: 0 })
  let { stream } = open()
  const { timers } = clock
  for (let turn = 0; turn < 100; turn++) {
    stream.close('client')
    clock.advance(turn % 4_000)
    stream = open().stream
    await settle()
  }
  clock.advance(60_000)
  await settle()
  t.same(changes, ['+alice'])
  t.equal(clock.timers, timers)
})

t.test('a stream that the hub closes for now has as long as its client was asked to wait', async (t) => {
  const { hub, clock, open, changes } = await start(t, { reconnectionTime: 20_000 })
  open()
  open({ user: 'bob' })
  await settle()
  await hub.disconnect('alice', { reconnect: true })
  await hub.disconnect('bob')
  clock.advance(7_000)
  await settle()
  t.same(changes, ['+alice', '+bob', '-bob'])
  clock.advance(27_000)
  await settle()
  t.same(changes, ['+alice', '+bob', '-bob'])
  clock.advance(3_000)
  await settle()
  t.same(changes, ['+alice', '+bob', '-bob', '-alice'])
})

t.test('without a grace a user is offline with the last stream', async (t) => {
  const { clock, open, changes } = await start(t, { presenceGrace: 0 })
  open().stream.close('client')
  clock.advance(10)
  await settle()
  t.same(changes, ['+alice', '-alice'])
})

t.test('a hub that closes reports no user as offline', async (t) => {
  const { hub, clock, open, changes } = await start(t)
  for (let at = 0; at < 100; at++) open({ user: `user${at}` })
  open().stream.close('client')
  await settle()
  await hub.drain()
  await hub.dispose()
  clock.advance(60_000)
  await settle()
  t.equal(changes.filter((change) => change.startsWith('-')).length, 0)
})

t.test('many users are asked for at once, and too many are refused', async (t) => {
  const { hub, open } = await start(t)
  open()
  t.same(
    await hub.isOnline(['alice', 'bob', 'alice']),
    new Map([
      ['alice', true],
      ['bob', false]
    ])
  )
  t.same(await hub.isOnline([]), new Map())
  await t.rejects(hub.isOnline(['']), { code: 'SSE_HUB_ERR_INVALID_USER' })
  await t.rejects(hub.isOnline(Array(1_001).fill('alice')), {
    code: 'SSE_HUB_ERR_INVALID_REQUEST',
    message: /1000 users/
  })
})

t.test('a listener that is online can send to the user', async (t) => {
  const { hub, open } = await start(t)
  hub.on('online', ({ user }) => hub.send(user, { data: 'hello', transient: true }))
  const sink = new FakeSink()
  open({}, sink)
  await settle()
  t.match(sink.events.at(-1), { data: 'hello' })
})
