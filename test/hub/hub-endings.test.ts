import t from 'tap'
import { isEnded, parseCursor } from '../../services/events/cursor.ts'
import { type FakeSink, settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const TASK = { user: null, topics: ['tasks/1'], follows: true, from: 'oldest' as const }

function textOf(sink: FakeSink): string[] {
  return sink.published.map(({ data }) => data)
}

function lastOf(sink: FakeSink): { reason: string; reconnect: boolean } | undefined {
  const last = sink.events.at(-1)
  return last?.event === 'hub.close' ? JSON.parse(last.data) : undefined
}

t.test('a stream that follows a topic begins with the oldest event, and ends with the first final one', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.publish('tasks/1', { data: '1' })
  const { sink } = open(TASK)
  await settle()
  await hub.publish('tasks/1', { data: '2' })
  await settle()
  t.same(textOf(sink), ['1', '2'])
  t.notOk(sink.isEnded)
  await hub.publish('tasks/1', { data: '3', final: true })
  await settle()
  t.same(textOf(sink), ['1', '2', '3'])
  t.same(lastOf(sink), { reason: 'finished', reconnect: false })
  t.ok(sink.isEnded && sink.parser.isAtBoundary)
})

t.test(
  'a stream that follows gets nothing after a final event, neither history nor events of the same turn',
  async (t) => {
    const { hub, open } = await startHub(t)
    const live = open(TASK)
    await settle()
    hub.publish('tasks/1', { data: '1' })
    hub.publish('tasks/1', { data: '2', final: true })
    hub.publish('tasks/1', { data: '3' })
    hub.publish('tasks/1', { data: '4', transient: true })
    await settle()
    const late = open(TASK)
    await settle()
    for (const { sink } of [live, late]) {
      t.same(textOf(sink), ['1', '2'])
      t.same(lastOf(sink)?.reason, 'finished')
    }
  }
)

t.test('a stream that ends while its history is written is closed for good', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.publish('tasks/1', { data: '1', final: true })
  const { stream } = open(TASK)
  await settle()
  t.ok(stream.isClosed)
  t.notOk(stream.close('kicked'))
  t.notOk(await stream.write('data: too late\n\n'))
})

t.test('a stream that follows gets neither events for everyone nor events for its user', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open({ ...TASK, user: 'alice' })
  await settle()
  await hub.broadcast({ data: 'for all' })
  await hub.send('alice', { data: 'for alice' })
  await hub.publish('tasks/1', { data: '1' })
  await settle()
  t.same(textOf(sink), ['1'])
})

t.test('a final event ends only the streams that follow, not those that subscribe', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open({ topics: ['tasks/1'] })
  await settle()
  await hub.publish('tasks/1', { data: '1', final: true })
  await hub.publish('tasks/1', { data: '2' })
  await settle()
  t.same(textOf(sink), ['1', '2'])
})

t.test('a client that is cut in the middle of a task resumes in the middle', async (t) => {
  const { hub, open } = await startHub(t)
  const first = open(TASK)
  await settle()
  await hub.publish('tasks/1', { data: '1' })
  await settle()
  first.sink.disconnect()
  await hub.publish('tasks/1', { data: '2' })
  await hub.publish('tasks/1', { data: '3', final: true })
  const second = open({ ...TASK, lastEventId: first.sink.parser.lastEventId })
  await settle()
  t.same(textOf(second.sink), ['2', '3'])
  t.equal(lastOf(second.sink)?.reason, 'finished')
})

t.test('a client that got the final event, but was cut before the end, gets the end at once', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.publish('tasks/1', { data: '1' })
  const { id } = await hub.publish('tasks/1', { data: '2', final: true })
  const { sink } = open({ ...TASK, lastEventId: id as string })
  await settle()
  t.same(textOf(sink), [])
  t.same(lastOf(sink), { reason: 'finished', reconnect: false })
})

t.test('a failed topic ends its followers for good with another reason, live and from history', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.publish('tasks/1', { data: '1' })
  const live = open(TASK)
  const subscriber = open({ topics: ['tasks/1'] })
  await settle()
  const { id } = await hub.publish('tasks/1', { data: 'the disk is full', fail: true })
  await hub.publish('tasks/1', { data: 'an end that comes too late', final: true })
  await settle()
  const late = open(TASK)
  await settle()
  for (const { sink } of [live, late]) {
    t.same(textOf(sink), ['1', 'the disk is full'])
    t.same(lastOf(sink), { reason: 'failed', reconnect: false })
    t.ok(isEnded(sink.events.at(-1)?.lastEventId ?? ''), 'a client that returns is answered 204')
  }
  t.notOk(subscriber.sink.isEnded, 'a stream that subscribes goes on')
  t.equal(hub.stats().closed.failed, 2)
  const { events } = await hub.history({ topic: 'tasks/1' })
  t.equal(events[1]?.id, id)
})

t.test('a client that got the failure, but was cut before the end, learns at once that it was one', async (t) => {
  const { hub, open } = await startHub(t)
  await hub.publish('tasks/1', { data: '1' })
  const { id } = await hub.publish('tasks/1', { data: '2', fail: true })
  const { sink } = open({ ...TASK, lastEventId: id })
  await settle()
  t.same(textOf(sink), [])
  t.same(lastOf(sink), { reason: 'failed', reconnect: false })
})

t.test('a failure is not a repeat of a success with the same idempotency key', async (t) => {
  const { hub } = await startHub(t)
  await hub.publish('tasks/1', { data: '1', final: true, idempotencyKey: 'k' })
  await t.rejects(hub.publish('tasks/1', { data: '1', fail: true, idempotencyKey: 'k' }), {
    code: 'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED'
  })
})

t.test('a client that only subscribes reconnects after a final event, and its stream stays open', async (t) => {
  const { hub, open } = await startHub(t)
  const { id } = await hub.publish('tasks/1', { data: '1', final: true })
  const { sink } = open({ ...TASK, follows: false, lastEventId: id as string })
  await settle()
  t.notOk(sink.isEnded)
  await hub.publish('tasks/1', { data: '2' })
  await settle()
  t.same(textOf(sink), ['2'])
})

t.test('a client that reconnects to a task without new events waits for more', async (t) => {
  const { hub, open } = await startHub(t)
  const { id } = await hub.publish('tasks/1', { data: '1' })
  const { sink } = open({ ...TASK, lastEventId: id as string })
  await settle()
  t.notOk(sink.isEnded)
  await hub.publish('tasks/1', { data: '2', final: true })
  await settle()
  t.same(textOf(sink), ['2'])
  t.equal(lastOf(sink)?.reason, 'finished')
})

t.test('a close for good has an id that ends the event source wherever it reconnects', async (t) => {
  const { hub, open } = await startHub(t)
  const { id } = await hub.send('alice', { data: 'before' })
  const { sink } = open({ lastEventId: id as string })
  await settle()
  t.equal(await hub.disconnect('alice'), 1)
  const last = sink.events.at(-1)
  t.same(lastOf(sink), { reason: 'kicked', reconnect: false })
  t.ok(isEnded(last?.id ?? ''))
  t.equal(last?.id, `${id}.end`)
  t.ok(sink.isEnded && sink.parser.isAtBoundary)
})

t.test('a close for now has a later reconnection time, and does not move the cursor', async (t) => {
  const { hub, open } = await startHub(t, { reconnectionTime: 2_000 })
  const { sink } = open()
  await settle()
  const before = sink.parser.lastEventId
  t.equal(await hub.disconnect('alice', { reconnect: true }), 1)
  const tail = String(sink.writes.at(-1))
  t.match(tail, /^event: hub\.close\ndata: .*\nretry: \d+\n\n$/)
  t.same(lastOf(sink), { reason: 'kicked', reconnect: true })
  t.match(hub.stats().closed, { cut: 1, kicked: 0 })
  t.equal(sink.parser.lastEventId, before)
})

t.test('the pending events of a stream leave before its end, in the same write', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  hub.send('alice', { data: '1' })
  hub.send('alice', { data: '2' })
  const { id } = await hub.send('alice', { data: '3' })
  const before = sink.writes.length
  await hub.disconnect('alice')
  t.equal(sink.writes.length, before + 1)
  t.same(textOf(sink), ['1', '2', '3'])
  t.equal(sink.events.at(-1)?.id, `${id}.end`)
})

t.test('the end of a backpressured stream has the cursor of the last written event', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  sink.room = 0
  const { id } = await hub.send('alice', { data: '1' })
  await settle()
  await hub.send('alice', { data: '2' })
  await hub.disconnect('alice')
  t.same(textOf(sink), ['1'])
  t.equal(sink.events.at(-1)?.id, `${id}.end`)
})

t.test('the end of a stream that closes before its first read is not a cursor', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open({ from: 'oldest' })
  await hub.disconnect('alice')
  t.equal(sink.events.at(-1)?.id, '0.end')
  await settle()
  t.equal(hub.stats().streams, 0)
})

t.test('a stream closes once, for any reason, and is not written to afterwards', async (t) => {
  const { hub, open } = await startHub(t)
  const reasons: string[] = []
  hub.on('close', (_stream, reason) => reasons.push(reason))
  const { sink, stream } = open()
  await settle()
  const published = hub.send('alice', { data: '1' })
  t.ok(stream.close('kicked'))
  t.notOk(stream.close('kicked'))
  sink.disconnect()
  await published
  await hub.broadcast({ data: '2' })
  stream.startReplay()
  stream.catchUp()
  stream.flush(hub.options.clock.monotonic())
  await settle()
  t.same(reasons, ['kicked'])
  t.same(textOf(sink), ['1'])
})

t.test('a client that has left is not written to', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink } = open()
  await settle()
  const before = sink.writes.length
  hub.send('alice', { data: '1' })
  sink.disconnect()
  await settle()
  t.equal(sink.writes.length, before)
  t.equal(hub.stats().closed.client, 1)
})

t.test('the signal of a stream is aborted when the stream closes, and from the start if it has closed', async (t) => {
  const { open } = await startHub(t)
  const first = open()
  const { signal } = first.stream
  t.equal(signal.aborted, false)
  t.equal(first.stream.signal, signal)
  first.sink.disconnect()
  t.ok(signal.aborted)
  const second = open()
  second.sink.disconnect()
  t.ok(second.stream.signal.aborted)
})

t.test('an event that the host sends on a stream follows the pending events, and has no id', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink, stream } = open()
  hub.send('alice', { data: '1' })
  const sent = stream.write('data: mine\n\n')
  t.equal(await sent, true)
  hub.send('alice', { data: '2' })
  t.equal(await stream.write('data: mine too\n\n'), true)
  t.match(sink.published, [
    { data: '1' },
    { data: 'mine', id: undefined },
    { data: '2' },
    { data: 'mine too', id: undefined }
  ])
})

t.test('events that the host sends on a backpressured stream wait, and stay in order', async (t) => {
  const { open } = await startHub(t)
  const { sink, stream } = open()
  await settle()
  sink.room = 0
  const done: number[] = []
  const sent = [1, 2, 3].map(async (at) => {
    const isTaken = await stream.write(`data: ${at}\n\n`)
    done.push(at)
    return isTaken
  })
  await settle()
  t.same(textOf(sink), ['1'], 'the first fills the socket')
  t.same(done, [], 'and even the first is not sent')
  for (let turn = 0; turn < 4; turn++) {
    sink.drain(0)
    await settle()
  }
  sink.drain()
  t.same(await Promise.all(sent), [true, true, true])
  t.same(textOf(sink), ['1', '2', '3'])
})

t.test('an event that the host sends is not lost if the pending events fill the socket', async (t) => {
  const { hub, open } = await startHub(t)
  const { sink, stream } = open()
  await settle()
  sink.room = 0
  hub.send('alice', { data: '1' })
  const sent = stream.write('data: mine\n\n')
  await settle()
  t.same(textOf(sink), ['1'])
  sink.drain()
  t.equal(await sent, true)
  t.same(textOf(sink), ['1', 'mine'])
})

t.test('sending an event on a stream rejects if the stream closes meanwhile', async (t) => {
  const { open } = await startHub(t)
  const { sink, stream } = open()
  await settle()
  sink.room = 0
  const sent = [stream.write('data: 1\n\n'), stream.write('data: 2\n\n')]
  await settle()
  sink.disconnect()
  t.same(await Promise.all(sent), [false, false])
  t.equal(await stream.write('data: 3\n\n'), false)
})

t.test('every id on a stream is a cursor that resumes, or an end', async (t) => {
  const { hub, clock, open } = await startHub(t, { retention: { user: 2 } })
  const { id } = await hub.send('alice', { data: '1' })
  for (const data of ['2', '3', '4']) await hub.send('alice', { data })
  const { sink } = open({ lastEventId: id as string })
  await settle()
  await hub.send('bob', { data: 'not for alice' })
  clock.advance(20_000)
  await hub.disconnect('alice')
  const ids = sink.events.map((event) => event.id).filter((text) => text !== undefined)
  t.equal(ids.length, 4)
  t.ok(
    ids.every((text) => parseCursor(text) !== undefined || isEnded(text)),
    ids.join(' ')
  )
})
