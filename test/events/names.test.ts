import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  type Channel,
  EVERYONE,
  isName,
  topicChannel,
  userChannel,
  userOfChannel
} from '../../services/events/channel.ts'
import { asList, channelsOf, type Target } from '../../services/events/target.ts'
import { describe, isBoundedText } from '../../services/text.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

function check<Inputs>(t: Test, property: fc.IProperty<Inputs>): void {
  const result = fc.check(property, { seed, numRuns: 2_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
}

const NAMES = [
  ...[
    'alice',
    'a/b',
    '/',
    '..',
    '../..',
    '%2F',
    '%00',
    'a:b',
    'u:alice',
    't:news',
    'everyone',
    'u:',
    '*',
    '#',
    ' ',
    '.'
  ],
  ...[
    'alice@example.org',
    'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
    '👩‍👩‍👧',
    'שלום',
    '\u202Eevil',
    '\u200B',
    '名前'
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'null',
    'undefined',
    '0',
    'NaN',
    "'; DROP TABLE",
    '\\',
    '"'
  ],
  ...['x'.repeat(256), '☃'.repeat(85), '😀'.repeat(64)]
]

const NO_NAMES: unknown[] = [
  ...['', '\0', 'a\0b', 'a\nb', '\r', '\t', '\x1f', '\x7f', '\x80', '\x9f', '\ud800', 'a\udc00', '\udc00\ud800'],
  ...['x'.repeat(257), '☃'.repeat(86), `${'😀'.repeat(63)}\ud83d`, `${'☃'.repeat(85)}é`, 'x'.repeat(1_048_576)],
  ...[undefined, null, 0, 1, Number.NaN, true, false, 5n, Symbol('alice'), {}, [], ['alice'], () => 'alice'],
  ...[Object('alice'), { toString: () => 'alice' }, Object.create(null), Buffer.from('alice'), new Date(0)]
]

t.test('a user or a topic may have any name of 1 to 256 bytes of Unicode without control characters', async (t) => {
  for (const name of NAMES) {
    t.ok(isName(name), JSON.stringify(name))
    t.equal(userOfChannel(userChannel(name)), name)
    t.equal(userOfChannel(topicChannel(name)), undefined)
  }
})

t.test('anything else is not a name, and the error does not repeat it', async (t) => {
  for (const name of NO_NAMES) {
    t.notOk(isName(name), describe(name))
    t.throws(() => userChannel(name as string), { code: 'SSE_HUB_ERR_INVALID_USER', statusCode: 400 })
    t.throws(() => topicChannel(name as string), { code: 'SSE_HUB_ERR_INVALID_TOPIC', statusCode: 400 })
  }
  try {
    userChannel('secret\0'.repeat(100_000))
    t.fail('was taken')
  } catch (error) {
    t.match(error, { message: /a string of 700000 characters/ })
    t.notMatch(error, { message: /secret/ })
  }
})

t.test('no two names share a channel, and no user is ever a topic or everyone', async (t) => {
  const kinds = (name: string): Channel[] => [userChannel(name), topicChannel(name), EVERYONE]
  const channels = NAMES.flatMap((name) => kinds(name).slice(0, 2))
  t.equal(new Set([...channels, EVERYONE]).size, 2 * NAMES.length + 1)
  const name = fc
    .oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), fc.constantFrom(...NAMES))
    .filter((text) => isName(text))
  check(
    t,
    fc.property(name, name, (a, b) => {
      const distinct = new Set([...kinds(a), ...kinds(b)]).size
      return distinct === (a === b ? 3 : 5) && userOfChannel(userChannel(a)) === a
    })
  )
})

t.test('names that look alike are different: nothing is folded or normalised', async (t) => {
  const cyrillic = '\u0430'
  const alike = [
    '\u00E9',
    'e\u0301',
    '\u00C9',
    '\u212B',
    '\u00C5',
    '\uFB01',
    'fi',
    cyrillic,
    'a',
    'A',
    'a ',
    ' a',
    '\u00DF',
    'ss'
  ]
  t.equal(new Set(alike.map((name) => userChannel(name))).size, alike.length)
})

t.test('text is measured in bytes, and a long text is rejected without a scan', async (t) => {
  t.ok(isBoundedText('é', 2))
  t.notOk(isBoundedText('é', 1))
  t.ok(isBoundedText('😀', 4))
  t.notOk(isBoundedText('😀', 3))
  check(
    t,
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.nat({ max: 40 }), (text, bytes) => {
      const hasControls = [...text].some((letter) => letter <= '\x1f' || (letter >= '\x7f' && letter <= '\x9f'))
      return isBoundedText(text, bytes) === (!hasControls && Buffer.byteLength(text) <= bytes)
    })
  )
})

t.test('a value is described without being repeated', async (t) => {
  const values: [unknown, string][] = [
    ['', 'an empty string'],
    ['secret', 'a string of 6 characters'],
    [[1, 2], 'an array of 2'],
    [null, 'null'],
    [undefined, 'undefined'],
    [5, 'number'],
    [Object.create(null), 'object'],
    [Symbol('x'), 'symbol'],
    [() => 1, 'function']
  ]
  for (const [value, text] of values) t.equal(describe(value), text)
})

t.test('a target has every channel that it names, each once', async (t) => {
  const users = ['alice', 'bob', 'alice']
  t.strictSame(channelsOf({ users, topics: ['alice', 'alice'], everyone: true }), [
    'u:alice',
    'u:bob',
    't:alice',
    'everyone'
  ])
  t.strictSame(channelsOf({ users: ['everyone'], everyone: false }), ['u:everyone'])
  t.strictSame(channelsOf({ topics: ['__proto__'] }), ['t:__proto__'])
  t.strictSame(channelsOf({ users: undefined, everyone: true }), ['everyone'])
})

t.test('a target without receivers is an error, and never everyone', async (t) => {
  const nobody: unknown[] = [
    ...[undefined, null, 'alice', 5, {}, [], { user: 'alice' }, { users: [] }, { topics: [] }, { everyone: false }],
    ...[
      { users: [], everyone: true },
      { users: 'alice' },
      { topics: 'news' },
      { users: null },
      { users: { 0: 'alice' } }
    ],
    ...[{ everyone: 'true' }, { everyone: 1 }, { everyone: null }, { users: new Set(['alice']) }]
  ]
  for (const target of nobody) {
    t.throws(
      () => channelsOf(target as Target),
      { code: 'SSE_HUB_ERR_INVALID_TARGET', statusCode: 400 },
      describe(target)
    )
  }
  for (const users of [[undefined], ['alice', ''], [['alice']], [null], new Array(2), ['alice', 5]]) {
    t.throws(() => channelsOf({ users: users as string[] }), { code: 'SSE_HUB_ERR_INVALID_USER' })
    t.throws(() => channelsOf({ topics: users as string[], everyone: true }), { code: 'SSE_HUB_ERR_INVALID_TOPIC' })
  }
})

t.test('one name stands for a list of one, and a missing name for a list that is rejected', async (t) => {
  t.strictSame(asList('alice'), ['alice'])
  t.strictSame(asList(['alice', 'bob']), ['alice', 'bob'])
  const missing = undefined as unknown as string satisfies string
  t.throws(() => channelsOf({ users: asList(missing) }), { code: 'SSE_HUB_ERR_INVALID_USER' })
})
