import { once } from 'node:events'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { feed, type Produced, type Producer } from '../../services/streams/feed.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const MAX_BYTES = 1_000

/** A stream without topics, which the host feeds. */
async function openStream(t: Test) {
  const { hub } = await startHub(t, { welcome: false })
  const sink = new FakeSink()
  const stream = hub.open(sink, { user: null, follows: true })
  await settle()
  return {
    stream,
    sink,
    feed: (producer: Producer) => feed(stream, producer, MAX_BYTES),
    data: () => sink.published.map(({ data }) => data)
  }
}

/** The data of the hub's last own event. */
function closeDataOf(sink: FakeSink): unknown {
  const last = sink.events.at(-1)
  return last?.event === 'hub.close' ? JSON.parse(last.data) : undefined
}

const FINISHED = { reason: 'finished', reconnect: false }
const FAILED = { reason: 'error', reconnect: false }

t.test('every kind of producer can feed a stream, which ends for good with the producer', async (t) => {
  const producers: Record<string, Producer> = {
    'an array': ['a', 'b'],
    'a set': new Set(['a', 'b']),
    'a generator': (function* () {
      yield* ['a', 'b']
    })(),
    'an asynchronous generator': (async function* () {
      yield 'a'
      await settle(1)
      yield 'b'
    })(),
    'a Readable of text': Readable.from(['a', 'b']),
    'a Readable of bytes': Readable.from([Buffer.from('a'), Buffer.from('b')]),
    'bytes that are not a Buffer': [new Uint8Array([97]), new Uint8Array([98])],
    'a function': () => ['a', 'b'],
    'a function that is asynchronous when it yields': async function* () {
      yield* ['a', 'b']
    }
  }
  for (const [name, producer] of Object.entries(producers)) {
    const { feed, sink, data } = await openStream(t)
    await feed(producer)
    t.strictSame(data(), ['a', 'b'], name)
    t.strictSame(closeDataOf(sink), FINISHED, name)
  }
})

t.test('a producer that yields nothing finishes the stream', async (t) => {
  const { feed, sink } = await openStream(t)
  await feed([])
  t.strictSame(sink.published, [])
  t.strictSame(closeDataOf(sink), FINISHED)
})

t.test('events are sent under their names, as text or JSON, and without an id', async (t) => {
  const { feed, sink } = await openStream(t)
  await feed([{ event: 'step', data: { done: 1 } }, { data: 'two\nlines' }, '', { data: null }])
  t.strictSame(
    sink.published.map(({ event, data, id }) => [event, data, id]),
    [
      ['step', '{"done":1}', undefined],
      ['message', 'two\nlines', undefined],
      ['message', '', undefined],
      ['message', 'null', undefined]
    ]
  )
})

t.test('a character whose bytes come in several chunks stays whole, and causes no empty event', async (t) => {
  const text = 'aé☃😀\n👩‍👩‍👧z'
  const bytes = Buffer.from(text)
  for (const size of [1, 2, 3, 5, bytes.length]) {
    const chunks: Buffer[] = []
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
    const { feed, data } = await openStream(t)
    await feed(Readable.from(chunks))
    t.equal(data().join(''), text, `in chunks of ${size}`)
    t.notOk(data().includes(''), `in chunks of ${size}`)
  }
})

t.test('a value that is not an event closes the stream for good, and rejects', async (t) => {
  const wrong: [unknown, string][] = [
    ...[5, null, undefined, true, {}, [], { event: 'a' }, Symbol('a')].map((value): [unknown, string] => [
      value,
      'SSE_HUB_ERR_INVALID_DRAFT'
    ]),
    [{ data: undefined }, 'SSE_HUB_ERR_INVALID_DATA'],
    ['\ud800', 'SSE_HUB_ERR_INVALID_DATA'],
    ['x'.repeat(MAX_BYTES + 1), 'SSE_HUB_ERR_EVENT_TOO_LARGE'],
    [Buffer.alloc(MAX_BYTES + 1, 'x'), 'SSE_HUB_ERR_EVENT_TOO_LARGE'],
    [{ event: 'hub.close', data: 'x' }, 'SSE_HUB_ERR_RESERVED_EVENT_NAME'],
    [{ event: 'a\nid: 1', data: 'x' }, 'SSE_HUB_ERR_INVALID_EVENT_NAME']
  ]
  for (const [value, code] of wrong) {
    const { feed, sink, data } = await openStream(t)
    let isStopped = false
    const producer = async function* () {
      try {
        yield 'before'
        yield value as Produced
      } finally {
        isStopped = true
      }
    }
    await t.rejects(feed(producer), { code })
    t.strictSame(data(), ['before'])
    t.strictSame(closeDataOf(sink), FAILED)
    await settle(1)
    t.ok(isStopped)
  }
})

t.test('a producer that throws closes the stream for good, and its error rejects', async (t) => {
  const error = new Error('out of order')
  const producers: Record<string, Producer> = {
    'at once': () => {
      throw error
    },
    'in the middle': function* () {
      yield 'a'
      throw error
    },
    'in the middle, later': async function* () {
      yield 'a'
      await settle(1)
      throw error
    },
    'as a Readable': new Readable({
      read() {
        this.destroy(error)
      }
    }),
    'when it is asked': {
      [Symbol.iterator]: () => ({
        next() {
          throw error
        }
      })
    },
    'and again when it is stopped': {
      [Symbol.iterator]: () => ({
        next() {
          throw error
        },
        return() {
          throw new Error('another')
        }
      })
    }
  }
  for (const [name, producer] of Object.entries(producers)) {
    const { feed, sink } = await openStream(t)
    await t.rejects(feed(producer), error, name)
    t.strictSame(closeDataOf(sink), FAILED, name)
  }
})

t.test('a value that cannot yield is rejected', async (t) => {
  for (const made of [undefined, null, 5, 'text', {}, Promise.resolve([])]) {
    const { feed, sink } = await openStream(t)
    await t.rejects(
      feed(() => made as Iterable<string>),
      TypeError
    )
    t.strictSame(closeDataOf(sink), FAILED)
  }
})

t.test('a silent producer is released as soon as the client has disconnected', async (t) => {
  const { feed, sink, data } = await openStream(t)
  let isStopped = false
  const fed = feed(async function* (signal) {
    try {
      yield 'a'
      await once(signal, 'abort')
    } finally {
      isStopped = true
    }
  })
  await settle()
  t.strictSame(data(), ['a'])
  sink.disconnect()
  await fed
  await settle(1)
  t.ok(isStopped)
})

t.test('a producer that stays silent for ever does not block the host', async (t) => {
  const { feed, sink } = await openStream(t)
  const fed = feed({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) })
  await settle()
  sink.disconnect()
  await t.resolves(fed)
})

t.test('a Readable is destroyed when the client has disconnected, and its error is handled', async (t) => {
  for (const isTold of [false, true]) {
    const { feed, sink } = await openStream(t)
    let readable = new Readable()
    const fed = feed((signal) => {
      readable = new Readable({ read() {}, ...(isTold ? { signal } : {}) })
      readable.push('a')
      return readable
    })
    await settle()
    sink.disconnect()
    await t.resolves(fed)
    await settle()
    t.ok(readable.destroyed)
  }
})

t.test('an error of a producer that is being stopped is ignored', async (t) => {
  const stops = {
    'that throws': () => {
      throw new Error('no')
    },
    'that rejects': () => Promise.reject(new Error('no'))
  }
  for (const [name, stop] of Object.entries(stops)) {
    const { feed, stream } = await openStream(t)
    const next = () => {
      stream.close('kicked')
      return Promise.resolve({ value: 'a', done: false as const })
    }
    await t.resolves(feed({ [Symbol.asyncIterator]: () => ({ next, return: stop }) }), name)
    await settle()
  }
})

t.test('a stream that is closed before it is fed does not read the producer', async (t) => {
  const { feed, stream, sink } = await openStream(t)
  stream.close('kicked')
  let asked = 0
  await feed(() => {
    asked++
    return []
  })
  const readable = new Readable({
    read() {
      asked++
    }
  })
  await feed(readable)
  await feed((signal) => Readable.from(['a'], { signal }))
  await settle()
  t.equal(asked, 0)
  t.ok(readable.destroyed)
  t.strictSame(closeDataOf(sink), { reason: 'kicked', reconnect: false })
})

t.test('a producer is read no faster than the client takes its events', async (t) => {
  const { feed, sink, data } = await openStream(t)
  let yielded = 0
  const fed = feed(function* () {
    for (; yielded < 50; ) yield `${yielded++}`
  })
  sink.room = 100
  await settle()
  const taken = data().length
  t.ok(taken < 50, `${taken} were written`)
  t.equal(yielded, taken, 'and no more were read')
  sink.drain(20)
  await settle()
  t.ok(data().length > taken && data().length < 50)
  t.equal(yielded, data().length)
  sink.drain()
  await fed
  t.strictSame(
    data(),
    Array.from({ length: 50 }, (_, at) => `${at}`)
  )
})

t.test('a client that disconnects during backpressure ends its producer', async (t) => {
  const { feed, sink } = await openStream(t)
  let isStopped = false
  sink.room = 0
  const fed = feed(function* () {
    try {
      for (;;) yield 'x'
    } finally {
      isStopped = true
    }
  })
  await settle()
  sink.disconnect()
  await fed
  await settle(1)
  t.ok(isStopped)
})

t.test('a producer and a client that never wait do not block the event loop', async (t) => {
  const { feed, data } = await openStream(t)
  let turns = 0
  let turning = setImmediate(function turn() {
    turns++
    turning = setImmediate(turn)
  })
  t.teardown(() => clearImmediate(turning))
  const start = performance.now()
  await feed(function* () {
    // Long enough for several slices, and short enough for a failure to end soon.
    while (performance.now() - start < 200) yield 'x'
  })
  clearImmediate(turning)
  t.ok(data().length > 100, `${data().length} events`)
  t.ok(turns >= 5, `${turns} turns`)
})
