import t from 'tap'
import { ReadFailures } from '../../services/streams/read-failures.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

t.test('a log that cannot be read is logged once at the beginning, once a minute, and once at the end', async (t) => {
  const lines: { level: string; message: string; details: object }[] = []
  let now = 0
  const failures = new ReadFailures(
    {
      error: (details, message) => lines.push({ level: 'error', message, details }),
      warn: (details, message) => lines.push({ level: 'warn', message, details })
    },
    () => now
  )
  failures.onSuccess()
  for (now = 1_000; now <= 61_500; now += 1_000)
    for (let at = 0; at < 50; at++) failures.onFailure(new Error('away'), 50)
  t.equal(lines.length, 2)
  t.match(lines[0], {
    level: 'error',
    message: 'the event log could not be read',
    details: { err: { message: 'away' } }
  })
  t.match(lines[1], { level: 'error', message: 'the event log still cannot be read' })
  t.same(lines[1]?.details, { cause: 'away', failures: 3_000, waiting: 50, duration: 60_000 })
  now = 62_000
  failures.onSuccess()
  t.equal(lines.length, 2, 'one successful read among failing ones does not end the failure')
  now = 64_000
  failures.onSuccess()
  failures.onSuccess()
  t.equal(lines.length, 3)
  t.same(lines[2], {
    level: 'warn',
    message: 'the event log can be read again',
    details: { failures: 3_050, duration: 60_000 }
  })
  failures.onFailure(new Error('again'), 1)
  t.match(lines[3], { level: 'error', message: 'the event log could not be read' })
})

t.test('thirty streams that wait ten seconds for the log cause two log lines in all', async (t) => {
  const { hub, open, clock, logged } = await startHub(t, { heartbeatInterval: 0 })
  const sinks = Array.from({ length: 30 }, (_, at) => open({ user: `user ${at}` }).sink)
  await settle()
  const { log } = hub.manager
  const read = log.read
  log.read = () => {
    throw new Error('away')
  }
  for (const sink of sinks) sink.room = 0
  await hub.broadcast({ data: '1' })
  await settle()
  await hub.broadcast({ data: '2' })
  for (const sink of sinks) sink.drain()
  for (let second = 0; second < 10; second++) {
    clock.advance(1_000)
    await settle()
  }
  t.equal(logged.length, 1)
  log.read = read
  for (let second = 0; second < 4; second++) {
    clock.advance(1_000)
    await settle()
  }
  for (const sink of sinks)
    t.same(
      sink.published.map(({ data }) => data),
      ['1', '2']
    )
  await hub.disconnect('user 0', { reconnect: true })
  open({ user: 'new' })
  await settle()
  t.match(logged, [{ level: 'error' }, { level: 'warn', message: 'the event log can be read again' }])
})

t.test('a stream whose socket throws is closed, and all others get every event', async (t) => {
  const { hub, clock, open, logged } = await startHub(t)
  class Broken extends FakeSink {
    isBroken = false
    override write(bytes: Parameters<FakeSink['write']>[0]): boolean {
      if (this.isBroken) throw new Error('no such socket')
      return super.write(bytes)
    }
    override end(): void {
      throw new Error('no end either')
    }
  }
  const broken = new Broken()
  const before = open({ user: 'before' }).sink
  open({ user: 'broken' }, broken)
  const after = open({ user: 'after' }).sink
  await settle()
  broken.isBroken = true
  await hub.broadcast({ data: '1' })
  await settle()
  await hub.broadcast({ data: '2' })
  await settle()
  for (const sink of [before, after])
    t.same(
      sink.published.map(({ data }) => data),
      ['1', '2']
    )
  t.match(hub.stats(), { streams: 2, closed: { error: 1 } })
  t.match(logged, [
    { level: 'error', message: 'a stream failed, and is closed', cause: 'no such socket' },
    { level: 'error', message: 'a stream could not be ended', cause: 'no end either' }
  ])
  const beating = new Broken()
  open({ user: 'broken' }, beating)
  await settle()
  beating.isBroken = true
  clock.advance(30_000)
  t.equal(hub.stats().closed.error, 2, 'at a heartbeat as well')
  t.ok(after.events.some(({ event }) => event === 'hub.heartbeat'))
})

t.test('an event that cannot be written is logged, and the later events are delivered', async (t) => {
  const { hub, open, logged } = await startHub(t)
  const { sink } = open()
  await settle()
  const event = (data: string, name: string) => ({
    cursor: null,
    id: null,
    channels: ['everyone' as const],
    event: name,
    data,
    time: 0,
    final: false,
    frame: undefined
  })
  hub.manager.onEvents([event('1', 'a'), event('2', 'of\ntwo lines'), event('3', 'a')])
  await settle()
  t.same(
    sink.published.map(({ data }) => data),
    ['1', '3']
  )
  t.match(logged, [{ level: 'error', message: 'an event of the log could not be delivered' }])
})
