import t from 'tap'
import { systemClock } from '../../services/clock.ts'
import { SINGLE_NODE } from '../../services/cluster/single-node.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { DEFAULT_RETENTION } from '../../services/event-log/retention.ts'
import { HUB_OPTION_NAMES, type HubOptions, resolveOptions } from '../../services/hub/options.ts'
import { FakeClock } from '../support/fake-clock.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const MANY = 10_000_000

/** Default, minimum and maximum of each option that is a whole number. */
const NUMBERS = {
  idempotencyWindow: [300_000, 1_000, 7 * DAY],
  heartbeatInterval: [15_000, 0, DAY],
  reconnectionTime: [2_000, 0, HOUR],
  stallTimeout: [30_000, 0, DAY],
  maxStreamAge: [0, 0, 365 * DAY],
  maxEventBytes: [65_536, 1, 1_048_576],
  maxBatch: [1_000, 1, 100_000],
  maxTopics: [100, 0, 10_000],
  maxStreams: [0, 0, MANY],
  maxStreamsPerUser: [100, 0, MANY],
  maxStreamsPerAddress: [0, 0, MANY],
  openingRate: [20, 0, 10_000],
  presenceGrace: [5_000, 0, HOUR],
  unreadAfter: [0, 0, 365 * DAY]
} as const

/** Default, minimum and maximum of each bound of the retention. */
const RETENTION = {
  user: [1_000, 0, MANY],
  topic: [10_000, 0, MANY],
  everyone: [10_000, 0, MANY],
  age: [DAY, 1, 3_650 * DAY],
  inbox: [500, 1, 10_000],
  inboxAge: [90 * DAY, 1, 3_650 * DAY],
  channelBytes: [16 * 1_048_576, 0, Number.MAX_SAFE_INTEGER],
  bytes: [128 * 1_048_576, 0, Number.MAX_SAFE_INTEGER]
} as const

const NO_NUMBERS: unknown[] = [
  ...[-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53, '5', '', 5n, true, false],
  ...[[], [5], {}, Object.create(null), () => 5, Symbol('5'), new Date(0), 'x'.repeat(1_000_000)]
]

function resolve(options: object) {
  return resolveOptions(options as HubOptions)
}

/** A matcher for the error that names an option. */
function naming(name: string, message = '') {
  return {
    code: 'SSE_HUB_ERR_INVALID_OPTION',
    message: new RegExp(`^Option ${name.replace('.', '\\.')}: [^]{1,200}$`.replace(': ', `: ${message}`))
  }
}

t.test('without options, every option has its default', async (t) => {
  const numbers = Object.fromEntries(Object.entries(NUMBERS).map(([name, [preset]]) => [name, preset]))
  const retention = Object.fromEntries(Object.entries(RETENTION).map(([name, [preset]]) => [name, preset]))
  const others = {
    welcome: true,
    onlineCounts: true,
    onUserLimit: 'replace',
    log: undefined,
    cluster: undefined,
    clock: systemClock
  }
  t.strictSame(resolve({}), { ...numbers, ...others, retention })
  t.strictSame(DEFAULT_RETENTION, retention)
})

t.test('an undefined option has its default, too', async (t) => {
  const undefinedOnes = Object.fromEntries(HUB_OPTION_NAMES.map((name) => [name, undefined]))
  t.strictSame(resolve(undefinedOnes), resolve({}))
  const retention = Object.fromEntries(Object.keys(RETENTION).map((name) => [name, undefined]))
  t.strictSame(resolve({ retention }), resolve({}))
})

for (const [name, [, min, max]] of Object.entries(NUMBERS)) {
  t.test(`${name} is a whole number from ${min} to ${max}, or refused by its name`, async (t) => {
    for (const value of [min, max]) t.strictSame(resolve({ [name]: value }), { ...resolve({}), [name]: value })
    for (const value of [min - 1, max + 1, ...NO_NUMBERS]) {
      t.throws(() => resolve({ [name]: value }), naming(name, `is a whole number from ${min} to ${max}; got `))
    }
  })
}

for (const [name, [, min, max]] of Object.entries(RETENTION)) {
  t.test(`retention.${name} is a whole number from ${min} to ${max}, or refused by its name`, async (t) => {
    for (const value of [min, max]) {
      const retention = { ...DEFAULT_RETENTION, [name]: value }
      const inboxAge = Math.max(retention.age, retention.inboxAge)
      t.strictSame(
        resolve({ retention: { [name]: value } }).retention,
        { ...retention, inboxAge },
        'inboxes keep longer'
      )
    }
    for (const value of [min - 1, max + 1, ...NO_NUMBERS]) {
      t.throws(() => resolve({ retention: { [name]: value } }), naming(`retention.${name}`, 'is a whole number from '))
    }
  })
}

t.test('an unknown bound of the retention is refused by its name', async (t) => {
  for (const name of ['users', 'count', 'channel', 'User', 'toString', 'constructor', '0', '']) {
    t.throws(
      () => resolve({ retention: { [name]: 5 } }),
      naming(`retention.${name}`, 'is unknown; expected one of user, topic, ')
    )
  }
  t.throws(() => resolve({ retention: JSON.parse('{"__proto__": 5}') }), naming('retention.__proto__'))
})

t.test('a retention that is not an object is refused', async (t) => {
  for (const retention of [5, true, 'all', '', [], [5], () => ({}), 0]) {
    t.throws(() => resolve({ retention }), naming('retention', 'is an object; got '))
  }
})

t.test('welcome and onlineCounts are true or false', async (t) => {
  for (const name of ['welcome', 'onlineCounts'] as const) {
    for (const value of [true, false]) t.equal(resolve({ [name]: value })[name], value)
    for (const value of [null, 0, 1, 'true', {}, Object.create(null)])
      t.throws(() => resolve({ [name]: value }), naming(name))
  }
})

t.test('onUserLimit is "replace" or "reject"', async (t) => {
  for (const onUserLimit of ['replace', 'reject']) t.equal(resolve({ onUserLimit }).onUserLimit, onUserLimit)
  for (const onUserLimit of [null, '', 'Replace', true, ['reject'], Object.create(null)]) {
    t.throws(() => resolve({ onUserLimit }), naming('onUserLimit'))
  }
})

t.test('log has all methods of an event log', async (t) => {
  const log = new MemoryLog(resolve({}))
  t.equal(resolve({ log }).log, log)
  const verbs = ['append', 'read', 'tail', 'close', 'stats']
  for (const missing of verbs) {
    const part = Object.fromEntries(verbs.map((verb) => [verb, verb === missing ? 'no function' : () => {}]))
    t.throws(() => resolve({ log: part }), naming('log', 'is an event log'))
  }
  for (const value of [null, 'memory', 5, {}, [], () => log, MemoryLog])
    t.throws(() => resolve({ log: value }), naming('log'))
})

t.test('cluster has all methods of a cluster', async (t) => {
  t.equal(resolve({ cluster: SINGLE_NODE }).cluster, SINGLE_NODE)
  for (const [missing, value] of Object.entries(SINGLE_NODE)) {
    if (typeof value !== 'function') continue
    t.throws(
      () => resolve({ cluster: { ...SINGLE_NODE, [missing]: undefined } }),
      naming('cluster', 'is a cluster'),
      missing
    )
  }
  for (const value of [null, 'redis://', 5, {}, [SINGLE_NODE]])
    t.throws(() => resolve({ cluster: value }), naming('cluster'))
})

t.test('clock has all methods of a clock', async (t) => {
  const clock = new FakeClock()
  t.equal(resolve({ clock }).clock, clock)
  for (const missing of ['now', 'monotonic', 'every', 'random']) {
    t.throws(() => resolve({ clock: { ...systemClock, [missing]: undefined } }), naming('clock', 'is a clock'))
  }
  for (const value of [null, Date, 5, {}]) t.throws(() => resolve({ clock: value }), naming('clock'))
})

t.test('an error shows the given value, shortened', async (t) => {
  t.throws(() => resolve({ maxTopics: 'many' }), { message: /got "many"$/ })
  t.throws(() => resolve({ maxTopics: 0.5 }), { message: /got 0\.5$/ })
  t.throws(() => resolve({ maxTopics: 'x'.repeat(1_000) }), { message: /got "x{40}"$/ })
})

t.test('the list of option names is complete', async (t) => {
  const names = [
    ...Object.keys(NUMBERS),
    'log',
    'cluster',
    'retention',
    'welcome',
    'onlineCounts',
    'onUserLimit',
    'clock'
  ]
  t.strictSame([...HUB_OPTION_NAMES].sort(), names.sort())
  t.strictSame(Object.keys(resolve({})).sort(), names.sort())
})
