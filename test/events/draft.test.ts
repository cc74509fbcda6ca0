import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type AnyDraft, prepareEvent } from '../../services/events/draft.ts'
import { formatEvent } from '../../services/events/wire-format.ts'
import { Hub } from '../../services/hub/hub.ts'
import { FakeSink, settle } from '../support/fake-sink.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

const PLENTY = 1_048_576
const YEAR = 31_536_000_000

function check<Inputs>(t: Test, property: fc.IProperty<Inputs>): void {
  const result = fc.check(property, { seed, numRuns: 2_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
}

/** The text of the data on the wire. */
function text(data: unknown, maxEventBytes = PLENTY): string {
  return prepareEvent({ data }, maxEventBytes).data
}

function refuses(t: Test, draft: unknown, code: string, message?: RegExp): void {
  const expected = { code: `SSE_HUB_ERR_${code}`, ...(message ? { message } : {}) }
  t.throws(() => prepareEvent(draft as AnyDraft, 100), expected)
}

t.test('a draft becomes an event with every property resolved', async (t) => {
  const event = prepareEvent({ data: 'x' }, PLENTY)
  const nothing = {
    ttl: undefined,
    collapseKey: undefined,
    idempotencyKey: undefined,
    transient: false,
    final: false,
    inbox: false
  }
  t.strictSame(event, { event: 'message', data: 'x', ...nothing })
  const keys = { collapseKey: 'k', idempotencyKey: 'i' }
  const full = { event: 'a', data: 'x', ttl: 1, ...keys, transient: false, final: true, inbox: true }
  t.strictSame(prepareEvent(full, PLENTY), full)
})

t.test('a string is sent as it is, anything else as JSON', async (t) => {
  const strings = ['', ' x', '{"a":1}', '"', 'a\r\nb\0', '\uFEFFx', '\u2028\u2029', '😀', '<img onerror=alert(1)>']
  for (const data of strings) t.equal(text(data), data)
  const values = [null, 0, -0, 1.5, true, [], {}, { a: [1, { b: null }] }, '"', [undefined], { a: undefined }]
  for (const data of values.filter((value) => typeof value !== 'string')) t.equal(text(data), JSON.stringify(data))
  t.equal(text(new Date(0)), '"1970-01-01T00:00:00.000Z"')
  t.equal(text(Number.NaN), 'null')
  t.equal(text({ toJSON: () => 'inner' }), '"inner"')
  t.equal(text(Object('boxed')), '"boxed"')
})

t.test('data that is neither text nor JSON is rejected', async (t) => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const throwing = {
    get broken() {
      throw new Error('out of order')
    }
  }
  const data = [undefined, () => 1, Symbol('x'), { toJSON: () => undefined }, 5n, { deep: [5n] }, cycle, throwing]
  for (const value of data) refuses(t, { data: value }, 'INVALID_DATA')
  refuses(t, { data: throwing }, 'INVALID_DATA', /out of order/)
  const thrownText = {
    toJSON() {
      throw 'no error at all'
    }
  }
  refuses(t, { data: thrownText }, 'INVALID_DATA', /toJSON threw/)
  refuses(t, {}, 'INVALID_DATA', /undefined/)
  for (const value of ['\ud800', 'x\udc00', `${'x'.repeat(50)}\ud83d`]) refuses(t, { data: value }, 'INVALID_DATA')
})

t.test('a value that is not a draft is rejected', async (t) => {
  for (const draft of [undefined, null, 'text', 5, true, Symbol('x'), () => ({ data: 1 })])
    refuses(t, draft, 'INVALID_DRAFT')
  refuses(t, [], 'INVALID_DATA')
})

t.test('an event name is 1 to 128 bytes of Unicode without control characters', async (t) => {
  const names = [
    'a',
    'order.shipped',
    'a b',
    'a:b',
    '名',
    'x'.repeat(128),
    '😀'.repeat(32),
    'toString',
    'Error',
    ' open'
  ]
  for (const event of names) t.equal(prepareEvent({ event, data: '' }, PLENTY).event, event)
  const others = [
    '',
    'a\nb',
    'a\rb',
    '\0',
    '\x7f',
    '\x85',
    '\ud800',
    'x'.repeat(129),
    '😀'.repeat(33),
    'x'.repeat(10_000)
  ]
  for (const event of [...others, 5, true, {}, ['a'], Object('a'), Symbol('a')]) {
    refuses(t, { event, data: '' }, 'INVALID_EVENT_NAME')
  }
})

t.test('an event name of the hub or of EventSource is rejected', async (t) => {
  for (const event of ['hub.', 'hub.gap', 'hub.x\u0301', 'open', 'error', '__proto__']) {
    refuses(t, { event, data: '' }, 'RESERVED_EVENT_NAME', /is reserved/)
  }
})

t.test('data is limited in bytes, for characters of any width', async (t) => {
  const tooLarge = { code: 'SSE_HUB_ERR_EVENT_TOO_LARGE', statusCode: 413 }
  for (const letter of ['x', 'é', '☃', '😀']) {
    const width = Buffer.byteLength(letter)
    t.ok(text(letter.repeat(30), 30 * width))
    t.throws(() => text(letter.repeat(30), 30 * width - 1), tooLarge)
  }
  t.equal(text({ a: 'é' }, 10), '{"a":"é"}')
  t.throws(() => text({ a: 'é' }, 9), { ...tooLarge, message: /at most 9 bytes; got 10/ })
  t.equal(text('', 1), '')
  check(
    t,
    fc.property(fc.string({ unit: 'binary', maxLength: 50 }), fc.integer({ min: 1, max: 150 }), (data, bound) => {
      let isTaken = true
      try {
        text(data, bound)
      } catch {
        isTaken = false
      }
      const fields = formatEvent({ event: 'message', data })
      return isTaken === Buffer.byteLength(fields) - 'data: \n\n'.length <= bound
    })
  )
})

/** `value` inside `depth` arrays and objects, alternately. */
function nested(depth: number, value: unknown): unknown {
  let data = value
  for (let level = 0; level < depth; level++) data = level % 2 === 0 ? [data] : { a: data }
  return data
}

t.test('JSON may be 64 deep, and no deeper', async (t) => {
  t.ok(text(nested(64, 'x')))
  t.throws(() => text(nested(65, 'x')), { code: 'SSE_HUB_ERR_INVALID_DATA', message: /64 deep/ })
  t.throws(() => text(nested(65, [])), { code: 'SSE_HUB_ERR_INVALID_DATA' })
  let arrays: unknown[] = []
  for (let level = 1; level < 65; level++) arrays = [arrays]
  t.throws(() => text(arrays), { code: 'SSE_HUB_ERR_INVALID_DATA' })
  t.ok(text(Array.from({ length: 1_000 }, () => nested(63, 1))), 'breadth does not count as depth')
})

t.test('JSON that is deeper than the call stack is rejected like any other', async (t) => {
  t.throws(() => text(nested(200_000, 1)), { code: 'SSE_HUB_ERR_INVALID_DATA' })
})

t.test('brackets inside strings do not count as depth, after any escapes', async (t) => {
  const tricky = fc
    .array(fc.constantFrom('[', '{', ']', '}', '"', '\\', '\\"', '\\\\', 'x', '\n', '☃'), {
      maxLength: 80,
      size: 'max'
    })
    .map((parts) => parts.join(''))
  const key = tricky.map((name) => `k${name}`)
  check(
    t,
    fc.property(fc.integer({ min: 55, max: 70 }), tricky, key, (depth, value, name) => {
      let isTaken = true
      const padding = 'x'.repeat(130)
      try {
        text([padding, { [name]: value }, nested(depth - 1, { [name]: value }), value])
      } catch {
        isTaken = false
      }
      // The outer array, the nesting, and the inner object.
      return isTaken === depth + 1 <= 64
    })
  )
})

t.test('keys that are dangerous elsewhere are data like any other', async (t) => {
  const json = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'
  t.equal(text(JSON.parse(json)), json)
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
})

t.test('later changes to the object of the caller change nothing', async (t) => {
  const data = { list: [1] }
  const draft = { data, event: 'before' }
  const event = prepareEvent(draft, PLENTY)
  data.list.push(2)
  draft.event = 'after'
  t.equal(event.data, '{"list":[1]}')
  t.equal(event.event, 'before')
})

t.test('a ttl is a whole number of milliseconds, a year at most', async (t) => {
  for (const ttl of [1, 60_000, YEAR, undefined]) t.equal(prepareEvent({ data: '', ttl }, PLENTY).ttl, ttl)
  const wrong = [0, -1, 1.5, YEAR + 1, Number.NaN, Number.POSITIVE_INFINITY, '5', 5n, null, true, [5], Symbol('5'), {}]
  for (const ttl of [...wrong, Object.create(null), 'x'.repeat(1_000_000)]) {
    refuses(
      t,
      { data: '', ttl },
      'INVALID_DRAFT',
      /^ttl is an integer from 1 to 31536000000 milliseconds; got .{1,40}$/
    )
  }
})

t.test('a key is 1 to 256 bytes of Unicode without control characters', async (t) => {
  for (const name of ['collapseKey', 'idempotencyKey'] as const) {
    for (const key of ['k', 'x'.repeat(256), '😀'.repeat(64), '__proto__', undefined]) {
      t.equal(prepareEvent({ data: '', [name]: key }, PLENTY)[name], key)
    }
    for (const key of ['', 'x'.repeat(257), 'a\nb', '\0', '\ud800', 5, null, true, {}, ['k'], Object.create(null)]) {
      refuses(t, { data: '', [name]: key }, 'INVALID_DRAFT', new RegExp(`^${name} is 1 to 256 bytes`))
    }
  }
})

t.test('a flag is true or false, and a final event cannot be transient', async (t) => {
  for (const name of ['transient', 'final'] as const) {
    for (const flag of [true, false]) t.equal(prepareEvent({ data: '', [name]: flag }, PLENTY)[name], flag)
    for (const flag of [null, 0, 1, 'true', {}]) {
      refuses(t, { data: '', [name]: flag }, 'INVALID_DRAFT', new RegExp(`^${name} is true or false`))
    }
  }
  refuses(t, { data: '', transient: true, final: true }, 'INVALID_DRAFT', /cannot be transient/)
})

t.test('an event with fail is final', async (t) => {
  t.equal(prepareEvent({ data: '', fail: true }, PLENTY).final, 'failed')
  t.equal(prepareEvent({ data: '', fail: true, final: true }, PLENTY).final, 'failed')
  t.equal(prepareEvent({ data: '', fail: false, final: true }, PLENTY).final, true)
  t.equal(prepareEvent({ data: '', fail: false }, PLENTY).final, false)
  for (const fail of [null, 0, 1, 'true', {}]) refuses(t, { data: '', fail }, 'INVALID_DRAFT', /^fail is true or false/)
  refuses(t, { data: '', fail: true, final: false }, 'INVALID_DRAFT', /fail is final/)
  refuses(t, { data: '', fail: true, transient: true }, 'INVALID_DRAFT', /cannot be transient/)
})

t.test('data is turned into text once for all streams, and nothing is published if that fails', async (t) => {
  const hub = new Hub({}, { error: (details) => t.fail('logged an error', details), warn() {} })
  await hub.start()
  t.teardown(() => hub.dispose())
  const sinks = Array.from({ length: 100 }, (_, at) => {
    const sink = new FakeSink()
    hub.open(sink, { user: `user ${at}` })
    return sink
  })
  await settle()
  let asked = 0
  const counting = { toJSON: () => ++asked }
  await hub.broadcast({ data: counting })
  const failing = {
    toJSON() {
      throw new Error('out of order')
    }
  }
  await t.rejects(hub.broadcast({ data: failing }), { code: 'SSE_HUB_ERR_INVALID_DATA' })
  const batch = [
    { to: { everyone: true }, data: 'good' },
    { to: { everyone: true }, data: failing }
  ]
  await t.rejects(hub.publishBatch(batch), { code: 'SSE_HUB_ERR_INVALID_DATA' })
  await settle()
  t.equal(asked, 1)
  t.ok(sinks.every(({ published }) => published.length === 1 && published[0]?.data === '1'))
})

t.test('the size on the wire counts, where each line end takes seven bytes', async (t) => {
  t.doesNotThrow(() => prepareEvent({ data: `${'\n'.repeat(10)}${'x'.repeat(30)}` }, 100))
  t.throws(() => prepareEvent({ data: `${'\n'.repeat(10)}${'x'.repeat(31)}` }, 100), {
    code: 'SSE_HUB_ERR_EVENT_TOO_LARGE'
  })
  t.throws(() => prepareEvent({ data: '\r\n'.repeat(15) }, 100), { code: 'SSE_HUB_ERR_EVENT_TOO_LARGE' })
})
