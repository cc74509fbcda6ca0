import { setTimeout as wait } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { LogUnavailableError } from '../../../services/errors.ts'
import { MemoryLog } from '../../../services/event-log/memory/memory-log.ts'
import { resolveRetention } from '../../../services/event-log/retention.ts'
import type { HubOptions } from '../../../services/hub/options.ts'
import { type WebhookStats, Webhooks } from '../../../standalone/webhooks/webhooks.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { startHub } from '../../support/test-hub.ts'
import { SECRET, WebhookReceiver } from '../../support/webhook-receiver.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND

interface Setup extends HubOptions {
  readonly secrets?: readonly string[]
  readonly timeout?: number
}

/** A hub on a fake clock whose webhooks go to a receiver on a real socket. */
async function start(t: Test, { secrets = [SECRET], timeout = 10 * SECOND, ...options }: Setup = {}) {
  const receiver = await WebhookReceiver.start(t)
  const { hub, clock, logged, open } = await startHub(t, { ...options, clock: new FakeClock({ wall: Date.now() }) })
  const details: object[] = []
  const log = (level: 'warn' | 'error') => (detail: object, message: string) => {
    details.push(detail)
    logged.push({ level, message, cause: undefined })
  }
  const webhooks = new Webhooks({
    hub,
    logger: { warn: log('warn'), error: log('error') } as never,
    signers: secrets.map((secret) => new Webhook(secret)),
    receiver: { url: new URL(receiver.url), timeout }
  })
  t.teardown(() => webhooks.stop())
  webhooks.start()
  /** Advances time in small steps, so that requests over the socket keep up, until a condition holds. */
  const advanceUntil = async (isTrue: () => boolean, what: string, step = SECOND) => {
    for (let passed = 0; !isTrue(); passed += step) {
      if (passed > 120 * MINUTE) throw new Error(`waited in vain for ${what}: ${JSON.stringify(webhooks.stats())}`)
      clock.advance(step)
      // The library accepts signatures up to five minutes from real time.
      if (clock.wall > Date.now() + 4 * MINUTE) clock.wall = Date.now()
      await wait(2)
    }
  }
  const advance = async (milliseconds: number, step = SECOND) => {
    const until = clock.monotonic() + milliseconds
    await advanceUntil(() => clock.monotonic() >= until, 'time', step)
  }
  const stats = () => hub.stats() as unknown as { webhooks: WebhookStats }
  return { hub, clock, open, receiver, webhooks, logged, details, advance, advanceUntil, stats }
}

t.test('an event that reaches no stream of a user is sent to the receiver, signed', async (t) => {
  const { hub, receiver, open, stats } = await start(t)
  open({ user: 'bob' })
  await receiver.until(() => receiver.attempts.length === 1, 'the presence of bob')
  const { id } = await hub.send(['alice', 'bob', 'carol'], { event: 'order', data: { number: 7 } })
  await hub.send('bob', { data: 'bob is here' })
  await hub.publish('news', { data: 'topics have no absent users' })
  await hub.send('alice', { data: 'last' })
  await receiver.until(() => receiver.attempts.length === 3, 'three messages')
  const [online, first, last] = receiver.attempts
  t.match(online?.body, { type: 'user.online', data: { user: 'bob' } })
  t.match(first, {
    id: /^msg_[0-9a-z_]+$/,
    path: '/hooks?key=canary',
    body: {
      type: 'event.undelivered',
      timestamp: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
      data: { users: ['alice', 'carol'], id, event: 'order', data: '{"number":7}' }
    }
  })
  t.match(last?.body.data, { users: ['alice'], event: 'message', data: 'last' })
  t.same(receiver.forged, [])
  await receiver.until(() => stats().webhooks.delivered === 3, 'the count').catch(() => undefined)
  t.match(stats().webhooks, { delivered: 3, failed: 0, dropped: 0, gaps: 0, disabled: false })
})

t.test('a user who comes online, and one who stays offline, are sent to the receiver', async (t) => {
  const { receiver, open, advance, advanceUntil } = await start(t)
  const types = () => receiver.messages.map(({ body }) => `${body.type} ${body.data.user}`)
  const first = open({ user: 'bob' })
  await receiver.until(() => receiver.attempts.length === 1, 'the first message')
  first.stream.close('client')
  await advance(SECOND)
  const second = open({ user: 'bob' })
  await advance(MINUTE)
  second.stream.close('client')
  await advanceUntil(() => receiver.attempts.length === 2, 'the second message')
  t.same(types(), ['user.online bob', 'user.offline bob'], 'a page that is reloaded is silent')
  t.match(receiver.messages[1]?.body.data.at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
})

t.test('an event that stays unread in an inbox is sent to the receiver after its time', async (t) => {
  const { hub, receiver, open, clock, advance, advanceUntil, stats } = await start(t, { unreadAfter: MINUTE })
  for (const user of ['alice', 'bob']) open({ user })
  await receiver.until(() => receiver.attempts.length === 2, 'both online')
  const unread = () => receiver.messages.filter(({ body }) => body.type === 'event.unread').map(({ body }) => body.data)
  const { id } = await hub.send(['alice', 'bob', 'carol'], { event: 'task', data: { due: 1 }, inbox: true })
  await hub.send('alice', { data: 'not in the inbox' })
  const retracted = await hub.send('alice', { data: 'retracted', inbox: true })
  const sentAt = clock.monotonic()
  await hub.retract(retracted.id)
  await advance(30 * SECOND)
  await hub.markRead('bob', id)
  t.equal(stats().webhooks.unreadChecks, 2)
  await hub.send('alice', { data: 'read in time', inbox: true })
  t.same(unread(), [])
  await advanceUntil(() => unread().length === 1, 'the unread event')
  t.ok(clock.monotonic() - sentAt >= MINUTE)
  t.same(unread(), [{ users: ['alice', 'carol'], id, event: 'task', data: '{"due":1}' }])
  await hub.markRead('alice', hub.cursor())
  await advance(2 * MINUTE)
  t.equal(unread().length, 1, 'nothing more')
  t.match(stats().webhooks, { unreadChecks: 0, dropped: 0, gaps: 0 })
  const missed = receiver.messages.filter(({ body }) => body.type === 'event.undelivered')
  t.match(missed, [{ body: { data: { users: ['carol'], id } } }], 'a user without a stream is reported at once')
})

t.test('changes of presence wait in memory while the log accepts nothing', async (t) => {
  const options = { retention: resolveRetention({}), idempotencyWindow: 300 * SECOND, clock: new FakeClock() }
  const log = new MemoryLog(options)
  let isDown = true
  const append = log.append.bind(log)
  log.append = (events) => (isDown ? Promise.reject(new LogUnavailableError('it is down')) : append(events))
  const { receiver, open, advanceUntil, logged, stats } = await start(t, { log })
  open({ user: 'bob' })
  await advanceUntil(() => logged.some(({ message }) => message.includes('wait in memory')), 'the warning')
  t.equal(receiver.attempts.length, 0)
  isDown = false
  await advanceUntil(() => receiver.attempts.length === 1, 'the message')
  t.match(receiver.attempts[0]?.body, { type: 'user.online', data: { user: 'bob' } })
  t.equal(stats().webhooks.dropped, 0)
})

t.test('an event that is transient, repeated, or replaced by a newer one is not sent', async (t) => {
  const { hub, receiver, advanceUntil, advance } = await start(t)
  receiver.respond = (response) => response.writeHead(503).end()
  await hub.send('alice', { data: 'first' })
  await receiver.until(() => receiver.attempts.length > 0, 'an attempt')
  await hub.send('alice', { data: 'transient', transient: true })
  const keyed = { data: 'keyed', idempotencyKey: 'k' }
  await hub.send('alice', keyed)
  await hub.send('alice', keyed)
  for (const data of ['10 %', '20 %']) await hub.send('alice', { data, collapseKey: 'progress' })
  await hub.send('alice', { data: 'short', ttl: 10 })
  await hub.send('alice', { data: 'end' })
  await advance(SECOND)
  receiver.respond = (response) => response.writeHead(200).end()
  await advanceUntil(() => receiver.messages.at(-1)?.body.data.data === 'end', 'the last message')
  t.same(
    receiver.messages.map(({ body }) => body.data.data),
    ['first', 'keyed', '20 %', 'end']
  )
})

t.test('a receiver that is down for a minute gets everything once, in order', async (t) => {
  const { hub, receiver, advance, advanceUntil, logged, stats } = await start(t)
  await hub.send('alice', { data: '0' })
  await receiver.until(() => receiver.attempts.length === 1, 'the first message')
  await receiver.down()
  for (let number = 1; number <= 250; number++) {
    await hub.send('alice', { data: String(number) })
    if (number % 4 === 0) await advance(SECOND)
  }
  t.equal(receiver.attempts.length, 1)
  t.ok(stats().webhooks.failed >= 5 && stats().webhooks.failed <= 12, `${stats().webhooks.failed} attempts in a minute`)
  t.ok(stats().webhooks.queued >= 100, `${stats().webhooks.queued} are queued`)
  await receiver.up()
  await advanceUntil(() => receiver.messages.length === 251, '251 messages')
  const sent = receiver.attempts.map(({ body }) => Number(body.data.data))
  t.same(
    sent,
    Array.from({ length: 251 }, (_, number) => number),
    'each once, in order'
  )
  t.equal(receiver.maxOpen, 1, 'one at a time')
  t.match(logged.at(-1)?.message, 'delivered again')
})

t.test('every attempt without success is repeated, later each time', async (t) => {
  const { hub, receiver, clock, advanceUntil } = await start(t, { timeout: 150 })
  const times: number[] = []
  const answers: ((response: import('node:http').ServerResponse) => void)[] = [
    (response) => response.writeHead(500).end('error'),
    (response) => response.writeHead(302, { location: '/elsewhere' }).end(),
    (response) => response.writeHead(400).end(),
    () => {},
    (response) => response.socket?.destroy(),
    (response) => response.writeHead(503, { 'retry-after': '100' }).end(),
    (response) => response.writeHead(200).end()
  ]
  receiver.respond = (response, attempt) => {
    times.push(clock.monotonic())
    answers[attempt - 1]?.(response)
  }
  await hub.send('alice', { data: 'stubborn' })
  await advanceUntil(() => receiver.attempts.length === answers.length, 'the last attempt')
  t.equal(new Set(receiver.attempts.map(({ id }) => id)).size, 1, 'the id stays')
  t.same([...new Set(receiver.attempts.map(({ path }) => path))], ['/hooks?key=canary'], 'no redirect is followed')
  const pauses = times.slice(1).map((time, at) => time - (times[at] as number))
  for (const [at, pause] of pauses.entries()) {
    const least = at === 5 ? 100 * SECOND : 500 * 2 ** at
    t.ok(pause >= least, `pause ${at + 1} of ${pause} ms is at least ${least} ms`)
  }
})

t.test('the body of a response is discarded, however long or slow', async (t) => {
  const { hub, receiver } = await start(t)
  let written = 0
  receiver.respond = (response, attempt) => {
    response.on('error', () => undefined)
    response.writeHead(200)
    if (attempt === 1) response.write('the rest never comes')
    else {
      const chunk = Buffer.alloc(65_536)
      const write = () => {
        while (!response.destroyed && response.write(chunk)) written += chunk.length
      }
      response.on('drain', write)
      write()
    }
  }
  for (const data of ['slow', 'huge', 'huge']) await hub.send('alice', { data })
  const started = performance.now()
  await receiver.until(() => receiver.attempts.length === 3, 'three messages')
  t.ok(performance.now() - started < 5 * SECOND, 'none waits for the body of the one before')
  await wait(200)
  const before = written
  await wait(200)
  t.equal(written, before, 'the receiver cannot go on writing')
  t.ok(written < 32 * 1_048_576, `${written} bytes were written into the buffers of the system`)
  t.equal(receiver.messages.length, 3)
})

t.test('a receiver that answers 410 gets nothing more', async (t) => {
  const { hub, receiver, advance, logged, stats } = await start(t)
  receiver.respond = (response) => response.writeHead(410).end()
  await hub.send('alice', { data: 'one' })
  await receiver.until(() => receiver.attempts.length === 1, 'the message')
  await hub.send('alice', { data: 'two' })
  await advance(30 * MINUTE, 10 * SECOND)
  t.equal(receiver.attempts.length, 1)
  t.equal(stats().webhooks.disabled, true)
  t.match(logged.at(-1), { level: 'error', message: /wants no more/ })
})

t.test('a message that is refused again and again is dropped, and holds up the next for about an hour', async (t) => {
  const { hub, receiver, clock, advanceUntil, logged, stats } = await start(t)
  receiver.respond = (response, attempt) => response.writeHead(attempt <= 20 ? 422 : 200).end()
  const started = clock.monotonic()
  await hub.send('alice', { data: 'poison' })
  await hub.send('alice', { data: 'next' })
  await advanceUntil(() => receiver.messages.length === 2, 'the next message', 10 * SECOND)
  t.equal(receiver.attempts.length, 21)
  const minutes = (clock.monotonic() - started) / MINUTE
  t.ok(minutes > 20 && minutes < 75, `${minutes} minutes`)
  t.equal(stats().webhooks.dropped, 1)
  t.ok(logged.some(({ message }) => message.includes('refused it 20 times')))
})

t.test('messages that are evicted before their delivery are counted and logged', async (t) => {
  t.test('because the queue is full', async (t) => {
    const { hub, receiver, advanceUntil, logged, stats } = await start(t, { retention: { topic: 10 } })
    receiver.respond = (response) => response.writeHead(503).end()
    await hub.send('alice', { data: '0' })
    await receiver.until(() => receiver.attempts.length === 1, 'an attempt')
    for (let number = 1; number <= 30; number++) await hub.send('alice', { data: String(number) })
    receiver.respond = (response) => response.writeHead(200).end()
    await advanceUntil(() => receiver.messages.at(-1)?.body.data.data === '30', 'the last message')
    t.ok(receiver.messages.length < 15)
    t.equal(stats().webhooks.gaps, 1)
    t.equal(logged.filter(({ message }) => message.includes('evicted')).length, 1)
  })

  t.test('because the history of the user is full', async (t) => {
    const { hub, receiver, advanceUntil, stats } = await start(t, { retention: { user: 3 } })
    receiver.respond = (response) => response.writeHead(503).end()
    await hub.send('alice', { data: '0' })
    await receiver.until(() => receiver.attempts.length === 1, 'an attempt')
    for (let number = 1; number <= 10; number++) await hub.send('alice', { data: String(number) })
    receiver.respond = (response) => response.writeHead(200).end()
    await advanceUntil(() => receiver.messages.at(-1)?.body.data.data === '10', 'the last message')
    t.equal(receiver.messages.length, 4)
    t.equal(stats().webhooks.dropped, 7)
  })
})

t.test('a delivery is signed with both secrets while one replaces the other', async (t) => {
  const other = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
  const { hub, receiver } = await start(t, { secrets: [other, SECRET] })
  await hub.send('alice', { data: 'signed twice' })
  await receiver.until(() => receiver.attempts.length === 1, 'the message')
  t.same(receiver.forged, [])
})

t.test('no log line has the path of the URL or the secret', async (t) => {
  const { hub, receiver, advance, logged, details } = await start(t)
  await receiver.down()
  await hub.send('alice', { data: 'hidden content' })
  await advance(MINUTE)
  t.ok(logged.length > 3)
  t.match(details[0], { code: 'ECONNREFUSED', type: 'event.undelivered' })
  for (const secret of ['canary', 'hooks', SECRET, SECRET.slice(6), 'hidden']) {
    t.notMatch(JSON.stringify([logged, details]), secret)
  }
})

t.test('no stream and no page of history has an entry of the queue', async (t) => {
  const { hub, open, receiver } = await start(t)
  const { sink } = open({ user: 'bob', topics: ['webhooks'] })
  await receiver.until(() => receiver.attempts.length === 1, 'the presence of bob')
  await hub.send('alice', { data: 'absent' })
  await hub.broadcast({ data: 'for all' })
  await receiver.until(() => receiver.attempts.length === 2, 'the message')
  t.same(
    sink.published.map(({ data }) => data),
    ['for all']
  )
  t.notMatch(Buffer.concat(sink.writes).toString(), /queued|undelivered/)
  t.same((await hub.history({ topic: 'webhooks' })).events, [])
  await t.rejects(hub.history({ topic: '\u0080webhooks' }), { code: 'SSE_HUB_ERR_INVALID_TOPIC' })
})
