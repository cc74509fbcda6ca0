import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { connect } from '../../client/connect.ts'
import type { Credentials } from '../../client/credentials.ts'
import type { Frame } from '../../client/frame-reader.ts'
import type { HubStream, StreamState } from '../../client/hub-stream.ts'
import { inboxOf } from '../../client/inbox.ts'
import type { StreamOptions } from '../../client/options.ts'
import type { StreamError } from '../../client/stream-end.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { clientClock, FakeFetch, settled } from '../support/fake-fetch.ts'

const BUNDLER = '../../scripts/bundle-client.mjs'
const WELCOME = { stream: 's1', user: 'alice', heartbeatInterval: 15_000, resumed: false, replayed: 0 }

function welcome(fields: object = {}, id: string | undefined = 'c0', retry = 2_000): string {
  const data = JSON.stringify({ ...WELCOME, ...fields })
  return `event: hub.welcome\ndata: ${data}\nretry: ${retry}\n${id === undefined ? '' : `id: ${id}\n`}\n`
}

function block(name: string, data: string, id?: string): string {
  return `event: ${name}\ndata: ${data}\n${id === undefined ? '' : `id: ${id}\n`}\n`
}

function close(reason: string, reconnect: boolean, id?: string): string {
  return block('hub.close', JSON.stringify({ reason, reconnect }), id)
}

/** A client whose network, clock and randomness the test controls. */
async function start(t: Test, options: Partial<StreamOptions> = {}, url = 'http://hub.test/hub/events') {
  const clock = new FakeClock()
  const network = new FakeFetch()
  let random = 0
  const stream = connect(url, {
    fetch: network.fetch,
    clock: clientClock(clock),
    random: () => random,
    ...options
  })
  t.teardown(() => stream.close())
  const states: StreamState[] = []
  const errors: StreamError[] = []
  const heard: string[] = []
  stream.on('state', (state) => states.push(state))
  stream.on('error', (error) => errors.push(error))
  stream.on('*', ({ text }) => heard.push(text))
  await settled()
  return {
    clock,
    network,
    stream,
    states,
    errors,
    heard,
    setRandom: (value: number) => {
      random = value
    },
    pass: async (milliseconds: number) => {
      clock.advance(milliseconds)
      await settled()
    }
  }
}

const nameOf = ({ state }: HubStream) => [state.name, state.reason]

t.test('the stream sends its headers, is open at the welcome, and calls the handlers of each event', async (t) => {
  const { network, stream, states } = await start(t, { headers: { 'x-tenant': '7' }, topics: ['news', 'a/b'] })
  t.equal(network.last.url.href, 'http://hub.test/hub/events?topics=news%2Ca%2Fb')
  t.equal(network.last.headers.get('accept'), 'text/event-stream')
  t.equal(network.last.headers.get('x-tenant'), '7')
  t.equal(network.last.lastEventId, null)
  t.same(nameOf(stream), ['connecting', undefined])
  const orders: unknown[] = []
  const others: string[] = []
  stream.on('order.paid', ({ data, id, isReplayed }) => orders.push([data, id, isReplayed]))
  const remove = stream.on('*', ({ name }) => others.push(name))
  stream.once('order.paid', ({ id }) => orders.push(`once ${id}`))
  await network.last.open(welcome({ replayed: 1 }))
  t.same(nameOf(stream), ['open', undefined])
  await network.last.write(
    block('order.paid', '{"total":5}', 'c1') + block('typing', 'bob') + block('hub.heartbeat', '', 'c2')
  )
  remove()
  await network.last.write(block('order.paid', '12345678901234567890', 'c3'))
  t.same(orders, [[{ total: 5 }, 'c1', true], 'once c1', [12345678901234567000, 'c3', false]])
  t.same(others, ['order.paid', 'typing'])
  t.equal(stream.lastEventId, 'c3')
  t.equal(stream.welcome?.user, 'alice')
  t.same(
    states.map(({ name }) => name),
    ['connecting', 'open']
  )
  t.match(stream.counters, { attempts: 1, opened: 1, events: 3, replayed: 1, gaps: 0 })
})

t.test('an event keeps the text as it was published, and a frame the bytes', async (t) => {
  const frames: Frame[] = []
  const { network, stream } = await start(t, { debug: (frame) => frames.push(frame) })
  const texts: [string, unknown][] = []
  stream.on('n', ({ text, data }) => texts.push([text, data]))
  await network.last.open(`:\n${welcome()}`)
  const sent = 'event: n\r\ndata:12345678901234567890\r\nid: c1\r\n\r\nevent: n\ndata: two\ndata:  lines ☃\n\n'
  await network.last.write(sent)
  t.same(texts, [
    ['12345678901234567890', 12345678901234567000],
    ['two\n lines ☃', 'two\n lines ☃']
  ])
  t.equal(frames.map(({ raw }) => raw).join(''), `:\n${welcome()}${sent}`)
})

t.test('the cursor advances after the handlers, and a handler that fails does not stop the stream', async (t) => {
  const { network, stream, errors } = await start(t)
  const seen: unknown[] = []
  stream.on('a', () => {
    seen.push(stream.lastEventId)
    throw new Error('a handler of the page')
  })
  stream.on('a', async () => {
    await settled()
    throw new Error('a handler that waits')
  })
  await network.last.open(welcome() + block('a', '1', 'c1') + block('b', '2', 'c2'))
  t.same(seen, ['c0'])
  t.equal(stream.lastEventId, 'c0', 'the next event waits for the handler')
  await settled()
  await settled()
  t.equal(stream.lastEventId, 'c2')
  t.same(
    errors.map(({ code, message }) => [code, message]),
    [
      ['handler', 'Error: a handler of the page'],
      ['handler', 'Error: a handler that waits']
    ]
  )
})

t.test('an event with a name of the lifecycle reaches onEvent, and not on', async (t) => {
  const { network, stream, states, errors } = await start(t)
  const heard: string[] = []
  for (const name of ['gap', 'state', 'close', '*']) stream.onEvent(name, ({ text }) => heard.push(`${name} ${text}`))
  stream.on('gap', () => heard.push('a gap'))
  stream.on('close', () => heard.push('the end'))
  await network.last.open(welcome())
  const before = states.length
  for (const name of ['gap', 'state', 'close', '*']) await network.last.write(block(name, 'x'))
  t.same(heard, ['gap x', 'state x', 'close x', '* x'])
  t.same([states.length, errors.length], [before, 0])
})

t.test('the stream resumes after each block that has an id, gap and heartbeat included', async (t) => {
  const { network, stream, pass, heard } = await start(t)
  const gaps: unknown[] = []
  stream.on('gap', (gap) => gaps.push(gap))
  const script: [string, string][] = [
    [welcome({}, 'c1'), 'c1'],
    [block('hub.gap', '{"from":"c1","oldest":null,"reason":"evicted"}', 'c2'), 'c2'],
    [block('hub.heartbeat', '', 'c3'), 'c3'],
    [block('a', '1', 'c4') + block('transient', '2'), 'c4'],
    [`${block('a', '3', 'c5')}event: a\ndata: 4\nid: c6\n`, 'c5'],
    [close('shutdown', true, 'c7'), 'c7']
  ]
  for (const [text, id] of script) {
    await network.last.open(text)
    await network.last.break()
    t.equal(stream.lastEventId, id)
    await pass(30_000)
    t.equal(network.last.lastEventId, id)
  }
  t.same(gaps, [{ from: 'c1', oldest: null, reason: 'evicted' }])
  t.same(heard, ['1', '2', '3'])
})

t.test('a close for good ends the stream, and its id is no cursor', async (t) => {
  const { network, stream, pass } = await start(t)
  const ends: StreamState[] = []
  stream.on('close', (state) => ends.push(state))
  await network.last.open(welcome({}, 'c1') + close('kicked', false, 'c1.end') + block('a', 'after the end', 'c9'))
  t.same(nameOf(stream), ['closed', 'kicked'])
  t.equal(stream.lastEventId, 'c1')
  t.equal(ends.length, 1)
  await pass(600_000)
  t.equal(network.exchanges.length, 1)
})

t.test('each answer is transient or final', async (t) => {
  for (const status of [408, 425, 429, 500, 502, 503, 504, 599]) {
    const { network, stream, pass, errors } = await start(t)
    await network.last.refuse(status, 'a page of a proxy')
    t.same(nameOf(stream), ['waiting', 'refused'], String(status))
    t.match(errors, [{ code: 'refused', status }])
    await pass(30_000)
    t.equal(network.exchanges.length, 2)
  }
  for (const status of [400, 403, 404, 406, 410]) {
    const { network, stream, pass } = await start(t)
    await network.last.refuse(status, { code: 'SSE_HUB_ERR_X', message: 'why' })
    t.same(nameOf(stream), ['closed', 'refused'], String(status))
    t.match(stream.state.error, { code: 'SSE_HUB_ERR_X', message: 'why', status })
    await pass(600_000)
    t.equal(network.exchanges.length, 1)
  }
  {
    const { network, stream } = await start(t)
    await network.last.refuse(204)
    t.same(nameOf(stream), ['closed', 'gone'])
  }
  {
    const { network, stream } = await start(t)
    await network.last.open('<html>', { 'content-type': 'text/html' })
    t.same(nameOf(stream), ['waiting', 'content-type'])
  }
  {
    const { network, stream, pass } = await start(t)
    await network.last.refuse(200, undefined, { 'content-type': 'text/event-stream' })
    t.same(nameOf(stream), ['closed', 'unsupported'], 'a runtime whose answers have no stream')
    await pass(600_000)
    t.equal(network.exchanges.length, 1)
  }
  {
    const { network, stream } = await start(t)
    await network.last.break()
    t.same(nameOf(stream), ['waiting', 'network'])
  }
  {
    const { network, stream } = await start(t)
    await network.last.open(welcome())
    await network.last.end()
    t.same(nameOf(stream), ['waiting', 'cut'])
  }
  {
    const { network, stream } = await start(t, { maxFrameLength: 100 })
    await network.last.open(`data: ${'x'.repeat(200)}`)
    t.same(nameOf(stream), ['waiting', 'too-large'])
  }
})

t.test('a wait is the reconnection time, with jitter after failures in a row, and Retry-After at least', async (t) => {
  const { network, stream, clock, pass, setRandom } = await start(t)
  const wait = () => (stream.state.nextAttempt ?? 0) - clock.now()
  setRandom(0.5)
  await network.last.open(welcome({}, 'c1', 3_000))
  await pass(20_000)
  await network.last.write(block('hub.heartbeat', ''))
  await network.last.break()
  const waits = [wait()]
  for (let at = 0; at < 5; at++) {
    await pass(wait())
    await network.last.refuse(502)
    waits.push(wait())
  }
  t.same(waits, [3_000, 4_500, 7_500, 13_500, 16_500, 16_500])
  await pass(wait())
  await network.last.refuse(503, undefined, { 'retry-after': '120' })
  t.equal(wait(), 120_000)
  await pass(wait())
  await network.last.refuse(429, undefined, { 'retry-after': new Date(clock.now() + 90_000).toUTCString() })
  t.ok(wait() > 89_000 && wait() <= 90_000, 'a date has whole seconds')
  await pass(wait())
  await network.last.open(welcome({ heartbeatInterval: 0 }, 'c1', 3_000))
  await pass(60_000)
  await network.last.break()
  t.equal(wait(), 3_000, 'after a stable minute the row begins anew')
})

t.test('there is never a second request while one is open', async (t) => {
  const { network, stream, pass } = await start(t)
  const open = () => network.exchanges.filter(({ isAborted }) => !isAborted).length
  stream.reconnectNow()
  await settled()
  t.same([network.exchanges.length, open()], [2, 1])
  await network.last.open(welcome())
  stream.reconnectNow()
  stream.reconnectNow()
  await settled()
  t.same([network.exchanges.length, open()], [3, 1])
  await network.last.break()
  t.equal(stream.state.name, 'waiting')
  stream.reconnectNow()
  await settled()
  t.equal(network.exchanges.length, 4)
  await pass(60_000)
  stream.close()
  t.equal(network.last.isAborted, true)
  await pass(60_000)
  t.equal(stream.state.reason, 'stopped')
})

t.test('silence is noticed after the heartbeat interval, and not where the hub has no heartbeats', async (t) => {
  const { network, stream, clock, pass } = await start(t, { silenceTimeout: 40_000 })
  await pass(40_000)
  t.same(nameOf(stream), ['waiting', 'silent'], 'a request without an answer')
  await pass(5_000)
  await network.last.open(welcome({ heartbeatInterval: 10_000 }))
  for (let at = 0; at < 5; at++) {
    await pass(20_000)
    await network.last.write(':\n')
  }
  t.equal(stream.state.name, 'open')
  await pass(25_000)
  t.same(nameOf(stream), ['waiting', 'silent'])
  await pass(30_000)
  await network.last.open(welcome({ heartbeatInterval: 10_000 }))
  clock.block(600_000)
  await pass(1)
  t.equal(stream.state.name, 'open', 'a frozen page first reads what has come')
  await network.last.write(block('hub.heartbeat', ''))
  await pass(20_000)
  t.equal(stream.state.name, 'open')
  await pass(10_000)
  t.same(nameOf(stream), ['waiting', 'silent'])
  await pass(30_000)
  await network.last.open(welcome({ heartbeatInterval: 0 }))
  await pass(86_400_000)
  t.equal(stream.state.name, 'open')
})

t.test('an answer 401 asks for credentials once, and a second one is final', async (t) => {
  const reasons: string[] = []
  const auth = (reason: string): Credentials => {
    reasons.push(reason)
    return reasons.length === 2 ? { ticket: 't2' } : { headers: { authorization: `Bearer ${reasons.length}` } }
  }
  const { network, stream, pass } = await start(t, { auth })
  t.equal(network.last.headers.get('authorization'), 'Bearer 1')
  await network.last.refuse(401)
  t.equal(network.last.url.searchParams.get('ticket'), 't2')
  t.equal(network.last.headers.get('authorization'), null)
  await network.last.open(welcome())
  await network.last.break()
  await pass(5_000)
  t.equal(network.last.url.searchParams.get('ticket'), 't2', 'credentials are kept for a return')
  await network.last.refuse(401)
  t.equal(network.last.headers.get('authorization'), 'Bearer 3')
  await network.last.refuse(401)
  t.same(nameOf(stream), ['closed', 'unauthorized'])
  t.same(reasons, ['first', 'refused', 'refused'])
})

t.test('without auth() an answer 401 is final; null of auth() is final; its failure is transient', async (t) => {
  const one = await start(t)
  await one.network.last.refuse(401, { code: 'SSE_HUB_ERR_UNAUTHORIZED', message: 'no credentials' })
  t.same(nameOf(one.stream), ['closed', 'unauthorized'])
  const two = await start(t, { auth: () => null })
  t.same(nameOf(two.stream), ['closed', 'unauthorized'])
  t.equal(two.network.exchanges.length, 0)
  let fails = true
  const three = await start(t, {
    auth: async () => {
      if (fails) throw new Error('the backend is away')
      return {}
    }
  })
  t.same(nameOf(three.stream), ['waiting', 'auth'])
  fails = false
  await three.pass(5_000)
  t.equal(three.network.exchanges.length, 1)
})

t.test('credentials are renewed before they expire, and the stream resumes with them', async (t) => {
  let asked = 0
  const { network, stream, pass } = await start(t, { auth: () => ({ ticket: `t${++asked}` }) })
  await network.last.open(welcome({ expiresIn: 600_000, heartbeatInterval: 0 }, 'c4'))
  await pass(539_999)
  t.equal(asked, 1)
  await pass(1)
  t.equal(asked, 2)
  t.equal(network.last.url.searchParams.get('ticket'), 't2')
  t.equal(network.last.lastEventId, 'c4')
  t.same(nameOf(stream), ['connecting', 'renewed'])
  await network.last.open(welcome({ heartbeatInterval: 0 }) + close('expired', true))
  await pass(2_000)
  t.equal(network.last.url.searchParams.get('ticket'), 't3')
})

function storage(entries: [string, string][] = []) {
  const map = new Map(entries)
  return {
    map,
    getItem: (key: string) => map.get(key) ?? null,
    setItem: (key: string, value: string) => void map.set(key, value),
    removeItem: (key: string) => void map.delete(key)
  }
}

t.test('a kept cursor outlives the page, for one URL and one user', async (t) => {
  const persist = storage()
  const one = await start(t, { persist })
  await one.network.last.open(welcome() + block('a', '1', 'c8'))
  one.stream.close()
  const two = await start(t, { persist })
  t.equal(two.network.last.lastEventId, 'c8')
  await two.network.last.open(welcome({ user: 'bob', replayed: 1 }, 'c9') + block('a', 'missed by alice', 'c9'))
  t.equal(two.network.last.lastEventId, null, 'another user does not resume there')
  t.same(two.heard, [])
  await two.network.last.open(welcome({ user: 'bob' }, 'c10'))
  two.stream.close()
  const three = await start(t, { persist, user: 'carol' })
  t.equal(three.network.last.lastEventId, null)
  const four = await start(t, { persist }, 'http://hub.test/other')
  t.equal(four.network.last.lastEventId, null)
  const five = await start(t, { persist, lastEventId: 'c77' })
  t.equal(five.network.last.lastEventId, 'c77')
})

t.test('a storage that fails, or holds something else, costs no event', async (t) => {
  const full = {
    ...storage(),
    setItem: () => {
      throw new Error('quota')
    }
  }
  const one = await start(t, { persist: full })
  await one.network.last.open(welcome() + block('a', '1', 'c1') + block('a', '2', 'c2'))
  t.same(one.heard, ['1', '2'])
  t.match(one.errors, [{ code: 'persist' }])
  for (const text of ['not JSON', '7', 'null', '{"id":5}']) {
    const two = await start(t, { persist: { ...storage(), getItem: () => text } })
    t.equal(two.network.last.lastEventId, null, text)
  }
})

t.test('iteration takes one event after the other, and ends with the stream', async (t) => {
  const { network, stream } = await start(t)
  const seen: unknown[] = []
  const over = (async () => {
    for await (const { text } of stream) {
      seen.push([text, stream.lastEventId])
      await settled()
    }
  })()
  await network.last.open(
    welcome() + ['1', '2', '3'].map((at) => block('a', at, `c${at}`)).join('') + close('finished', false)
  )
  await over
  t.same(seen, [
    ['1', 'c0'],
    ['2', 'c1'],
    ['3', 'c2']
  ])
  t.same((await stream[Symbol.asyncIterator]().next()).done, true, 'an iterator of a stream that has ended')
})

t.test('iteration throws the error of a final refusal, and a consumer that breaks releases the stream', async (t) => {
  const one = await start(t)
  const over = (async () => {
    for await (const _ of one.stream) t.fail('there is no event')
  })()
  const rejection = t.rejects(over, { code: 'SSE_HUB_ERR_FORBIDDEN' })
  await one.network.last.refuse(403, { code: 'SSE_HUB_ERR_FORBIDDEN', message: 'no' })
  await rejection
  const two = await start(t)
  const first = (async () => {
    for await (const { text } of two.stream) return text
    return undefined
  })()
  await two.network.last.open(welcome() + block('a', '1', 'c1') + block('a', '2', 'c2'))
  t.equal(await first, '1')
  await settled()
  t.equal(two.stream.lastEventId, 'c2')
})

t.test('a signal closes the stream, also one that is aborted already', async (t) => {
  const controller = new AbortController()
  const one = await start(t, { signal: controller.signal })
  await one.network.last.open(welcome())
  controller.abort()
  t.same(nameOf(one.stream), ['closed', 'stopped'])
  const two = await start(t, { signal: controller.signal })
  t.same(nameOf(two.stream), ['closed', 'stopped'])
  t.equal(two.network.exchanges.length, 0)
})

t.test('a handler that closes the stream gets no further event', async (t) => {
  const { network, stream, heard } = await start(t)
  stream.on('a', () => stream.close())
  await network.last.open(welcome() + block('a', '1', 'c1') + block('a', '2', 'c2'))
  t.same(heard, ['1'])
  t.equal(stream.lastEventId, 'c1')
})

t.test('topics change without a new stream, and a refused change changes nothing', async (t) => {
  const { network, stream } = await start(t, { topics: ['a'] }, 'http://hub.test/hub/events?topics=b,c')
  t.equal(network.last.url.searchParams.get('topics'), 'b,c,a')
  await network.last.open(welcome())
  const added = stream.subscribe(['d'])
  const removed = stream.unsubscribe(['b'])
  await settled()
  t.same(
    [network.exchanges.length, network.last.method, network.last.url.pathname, network.last.body],
    [2, 'PUT', '/hub/streams/s1/topics', { topics: ['b', 'c', 'a', 'd'] }]
  )
  await network.last.refuse(204)
  await added
  t.same(network.last.body, { topics: ['c', 'a', 'd'] }, 'one change after the other')
  await network.last.refuse(204)
  await removed
  const refused = t.rejects(stream.subscribe(['secret']), { code: 'SSE_HUB_ERR_FORBIDDEN', status: 403 })
  await settled()
  await network.last.refuse(403, { code: 'SSE_HUB_ERR_FORBIDDEN', message: 'no' })
  await refused
  t.same(stream.topics, ['c', 'a', 'd'])
  t.equal(stream.state.name, 'open')
})

t.test('topics that change while no stream is open are requested with the next one', async (t) => {
  const { network, stream, pass } = await start(t)
  await stream.subscribe(['a'])
  await settled()
  t.equal(network.last.url.searchParams.get('topics'), 'a')
  await network.last.open(welcome())
  const vanished = stream.subscribe(['b'])
  await settled()
  await network.last.refuse(404)
  await vanished
  await settled()
  t.equal(network.last.url.searchParams.get('topics'), 'a,b')
  t.same(nameOf(stream), ['connecting', 'topics'])
  await network.last.refuse(502)
  await stream.unsubscribe(['a'])
  await pass(30_000)
  t.equal(network.last.url.searchParams.get('topics'), 'b')
})

t.test('a request of the page has the credentials of the stream, and asks for new ones after 401', async (t) => {
  let asked = 0
  const { network, stream } = await start(t, { auth: () => ({ headers: { authorization: `Bearer ${++asked}` } }) })
  await network.last.open(welcome())
  const both = Promise.all([stream.request('GET', 'me/events'), stream.request('POST', 'me/read', { upTo: 'c1' })])
  await settled()
  const [, first, second] = network.exchanges
  await Promise.all([first?.refuse(401), second?.refuse(401)])
  t.same(
    network.exchanges.slice(3).map(({ method, url, headers }) => [method, url.pathname, headers.get('authorization')]),
    [
      ['GET', '/hub/me/events', 'Bearer 2'],
      ['POST', '/hub/me/read', 'Bearer 2']
    ]
  )
  t.equal(asked, 2, 'callers share one answer')
  const rejection = t.rejects(both, { code: 'SSE_HUB_ERR_X' })
  await network.exchanges[3]?.refuse(200, { events: [] })
  await network.exchanges[4]?.refuse(404, { code: 'SSE_HUB_ERR_X', message: 'no' })
  await rejection
})

t.test('an inbox counts and lists, and follows the stream', async (t) => {
  const { network, stream } = await start(t)
  const inbox = inboxOf(stream)
  t.teardown(() => inbox.close())
  let changes = 0
  inbox.onChange(() => changes++)
  await network.last.open(welcome({ unread: 2 }))
  t.equal(inbox.unread, 2)
  const [events] = network.exchanges
  const item = (id: string, isRead = false) => ({ id, event: 'n', data: id, isRead })
  const listed = inbox.list({ limit: 10 })
  await settled()
  t.equal(network.last.url.href, 'http://hub.test/hub/me/inbox?limit=10')
  await network.last.refuse(200, { events: [item('i2'), item('i1')], unread: 2, readUpTo: null, next: null })
  t.equal((await listed).unread, 2)
  await events?.write(block('hub.read', '{"upTo":"i1","unread":1}', 'c2'))
  t.same(
    [inbox.unread, inbox.events.map(({ id, isRead }) => [id, isRead])],
    [
      1,
      [
        ['i2', false],
        ['i1', true]
      ]
    ]
  )
  await events?.write(block('hub.retract', '{"id":"i1"}', 'c3'))
  t.same(
    inbox.events.map(({ id }) => id),
    ['i2']
  )
  const before = network.exchanges.length
  await events?.write(block('hub.unread', '{"unread":2}') + block('hub.unread', '{"unread":3}'))
  t.equal(network.exchanges.length, before + 1, 'one request at a time')
  await network.last.refuse(200, { events: [item('i3'), item('i2')], unread: 2, readUpTo: null, next: null })
  t.equal(network.exchanges.length, before + 2)
  await network.last.refuse(200, {
    events: [item('i4'), item('i3'), item('i2')],
    unread: 3,
    readUpTo: null,
    next: null
  })
  t.same([inbox.unread, inbox.events.length], [3, 3])
  const marked = inbox.markRead()
  await settled()
  t.same([network.last.method, network.last.url.pathname, network.last.body], ['POST', '/hub/me/read', { upTo: 'i4' }])
  await network.last.refuse(200, { upTo: 'i4', unread: 0 })
  await marked
  t.equal(inbox.unread, 0)
  t.ok(changes > 5)
})

/** In bytes, minified and compressed. */
const LIMITS: [string, string, number][] = [
  ['client.ts', 'connect', 4_096],
  ['client.ts', 'inboxOf', 704],
  ['client-shared.ts', 'connectShared', 6_592],
  ['client-react.ts', 'HubProvider, useEvent, useHub, useHubState, useInbox', 1_152],
  ['client-vue.ts', 'hubPlugin, useEvent, useHub, useHubState, useInbox', 1_088]
]

t.test('a page loads few bytes for the client', async (t) => {
  const { minified } = (await import(BUNDLER)) as { minified(entry: string, names: string[]): Promise<string> }
  for (const [entry, names, limit] of LIMITS) {
    const { length } = gzipSync(await minified(entry, [names]), { level: 9 })
    t.comment(`${entry} { ${names} }: ${length} bytes`)
    t.ok(length <= limit, `${entry} takes at most ${limit} bytes`)
  }
})
