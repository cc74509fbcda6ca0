import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { EnvironmentError, readEnvironment } from '../../standalone/environment.ts'

const DAY = 86_400_000

/** Each variable that is a whole number: minimum, maximum, and its setting. */
const NUMBERS: Record<string, [number, number, (name: Record<string, string>) => unknown]> = {
  PORT: [0, 65_535, (env) => readEnvironment(env).port],
  HUB_HEARTBEAT: [0, DAY, (env) => readEnvironment(env).heartbeatInterval],
  HUB_RETRY: [0, 3_600_000, (env) => readEnvironment(env).reconnectionTime],
  HUB_DRAIN_DELAY: [0, 3_600_000, (env) => readEnvironment(env).drainDelay],
  HUB_MAX_STREAM_AGE: [0, 31_536_000_000, (env) => readEnvironment(env).maxStreamAge],
  HUB_HISTORY_PER_USER: [0, 10_000_000, (env) => readEnvironment(env).retention.user],
  HUB_HISTORY_PER_TOPIC: [0, 10_000_000, (env) => readEnvironment(env).retention.topic],
  HUB_HISTORY_EVERYONE: [0, 10_000_000, (env) => readEnvironment(env).retention.everyone],
  HUB_HISTORY_AGE: [1, 3_650 * DAY, (env) => readEnvironment(env).retention.age],
  HUB_HISTORY_BYTES: [0, Number.MAX_SAFE_INTEGER, (env) => readEnvironment(env).retention.bytes],
  HUB_MAX_STREAMS: [0, 10_000_000, (env) => readEnvironment(env).maxStreams],
  HUB_MAX_STREAMS_PER_USER: [0, 10_000_000, (env) => readEnvironment(env).maxStreamsPerUser],
  HUB_MAX_STREAMS_PER_ADDRESS: [0, 10_000_000, (env) => readEnvironment(env).maxStreamsPerAddress],
  HUB_OPENING_RATE: [0, 10_000, (env) => readEnvironment(env).openingRate],
  HUB_PRESENCE_GRACE: [0, 3_600_000, (env) => readEnvironment(env).presenceGrace],
  HUB_MAX_EVENT_BYTES: [1, 1_048_576, (env) => readEnvironment(env).maxEventBytes],
  HUB_STALL_TIMEOUT: [0, DAY, (env) => readEnvironment(env).stallTimeout],
  HUB_MAX_CONNECTIONS: [0, 10_000_000, (env) => readEnvironment(env).maxConnections],
  HUB_MAX_CONNECTIONS_PER_ADDRESS: [0, 10_000_000, (env) => readEnvironment(env).maxConnectionsPerAddress],
  HUB_MAX_UNREAD_BYTES: [1_048_576, Number.MAX_SAFE_INTEGER, (env) => readEnvironment(env).maxUnreadBytes],
  HUB_REQUEST_TIMEOUT: [100, DAY, (env) => readEnvironment(env).requestTimeout],
  HUB_RATE_LIMIT: [0, 1_000_000, (env) => readEnvironment(env).rateLimit]
}

const TEXTS = [
  'HOST',
  'LOG_LEVEL',
  'HUB_STORE',
  'HUB_AUTH',
  'HUB_API_KEYS',
  'HUB_JWT_SECRET',
  'HUB_JWT_PUBLIC_KEY',
  'HUB_JWT_AUDIENCE',
  'HUB_JWT_ISSUER',
  'HUB_JWT_COOKIE',
  'HUB_PUBLISH_JWT_SECRET',
  'HUB_PUBLISH_JWT_PUBLIC_KEY',
  'HUB_PUBLISH_JWT_AUDIENCE',
  'HUB_PUBLISH_JWT_ISSUER',
  'HUB_CORS_ORIGIN',
  'HUB_METRICS',
  'HUB_TRACING',
  'HUB_TLS_CERT',
  'HUB_TLS_KEY',
  'HUB_TRUST_PROXY',
  'HUB_WEBHOOK_URL',
  'HUB_WEBHOOK_SECRET',
  'HUB_WEBHOOK_ALLOW_HTTP',
  'HUB_WEBHOOK_UNREAD_AFTER'
]

/** Checks that the start fails with the name of the variable. */
function stops(t: Test, env: Record<string, string>, name: string): void {
  try {
    readEnvironment(env)
    t.fail(`${JSON.stringify(env).slice(0, 100)} was taken`)
  } catch (error) {
    t.ok(error instanceof EnvironmentError && error.message.startsWith(`${name} `), `${error}`.slice(0, 160))
  }
}

t.test('without variables the hub serves only this machine', async (t) => {
  const nothing = {
    ...{ stallTimeout: undefined, maxConnections: undefined, maxConnectionsPerAddress: undefined },
    ...{ maxUnreadBytes: undefined, requestTimeout: undefined },
    tls: undefined,
    webhooks: undefined,
    heartbeatInterval: undefined,
    reconnectionTime: undefined,
    drainDelay: 0,
    tracing: 'off',
    maxStreamAge: undefined,
    store: './fastify-sse-hub-data',
    isDefaultStore: true,
    workers: 1,
    maxEventBytes: undefined
  }
  const noLimits = {
    maxStreams: undefined,
    maxStreamsPerUser: undefined,
    maxStreamsPerAddress: undefined,
    openingRate: undefined,
    presenceGrace: undefined
  }
  t.strictSame(readEnvironment({}), {
    ...{ host: '127.0.0.1', port: 3000, logLevel: 'info', corsOrigins: [], trustProxy: false, retention: {} },
    ...{ authentication: undefined, loopbackOnly: true, rateLimit: 0, metrics: 'on' },
    ...nothing,
    ...noLimits
  })
})

t.test('an empty variable counts as unset', async (t) => {
  const empty = Object.fromEntries([...TEXTS, ...Object.keys(NUMBERS)].map((name) => [name, '']))
  t.strictSame(readEnvironment(empty), readEnvironment({}))
})

t.test('variables without the prefix of the hub are ignored', async (t) => {
  const others = { PATH: '/bin', HUBBLE: 'x', MY_HUB_STORE: 'x', hub_store: 'x', HOSTNAME: 'box', PORTS: 'many' }
  t.strictSame(readEnvironment(others), readEnvironment({}))
})

t.test('an unknown variable with the prefix of the hub is an error', async (t) => {
  for (const name of ['HUB_HEARTBEATS', 'HUB_HEART_BEAT', 'HUB_', 'HUB_PORT', 'HUB_CORS_ORIGINS', 'HUB_constructor']) {
    stops(t, { [name]: '5' }, name)
    stops(t, { [name]: '' }, name)
  }
  t.throws(() => readEnvironment({ HUB_X: '1' }), { message: /its settings are HOST, PORT, LOG_LEVEL, HUB_STORE, / })
})

for (const [name, [min, max, value]] of Object.entries(NUMBERS)) {
  t.test(`${name} is a whole number from ${min} to ${max}`, async (t) => {
    for (const number of [min, max]) t.equal(value({ [name]: String(number) }), number)
    const wrong = [
      min - 1,
      BigInt(max) + 1n,
      `${max}0`,
      '99999999999999999999',
      '-1',
      '+5',
      '5.0',
      '1e3',
      '0x10',
      ' 5',
      '5 '
    ]
    for (const text of [...wrong, '5s', 'NaN', 'Infinity', 'true', '١', '1_000', '1,000', 'x'.repeat(10_000)]) {
      stops(t, { [name]: String(text) }, name)
    }
  })
}

t.test('without keys the hub does not start on a public address, unless so configured', async (t) => {
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
    t.equal(readEnvironment({ HOST: host }).host, host)
    t.equal(readEnvironment({ HOST: host, HUB_AUTH: 'none' }).host, host)
  }
  const open = [
    '0.0.0.0',
    '::',
    '192.168.0.1',
    '10.0.0.1',
    'example.org',
    '127.0.0.1.example.org',
    '127.1',
    '128.0.0.1'
  ]
  for (const host of [...open, '::ffff:10.0.0.1', 'localhost.example.org', '2001:db8::1', '*']) {
    stops(t, { HOST: host }, 'HUB_AUTH')
    stops(t, { HOST: host, HUB_AUTH: '' }, 'HUB_AUTH')
    t.equal(readEnvironment({ HOST: host, HUB_AUTH: 'none' }).host, host)
  }
  for (const auth of ['None', 'off', 'false', 'jwt', ' none']) stops(t, { HUB_AUTH: auth }, 'HUB_AUTH')
})

t.test('HUB_STORE is "memory", a folder or a Redis URL, and an error does not repeat other values', async (t) => {
  for (const store of [
    'memory',
    './data',
    '/var/lib/hub',
    '../data',
    'data',
    '~',
    'C:\\\\hub',
    'memories',
    './memory',
    'redis://localhost',
    'redis://127.0.0.1:6380/2',
    'rediss://hub:secret@redis.example/0?prefix=orders',
    'redis+sentinel://:secret@a:26379,b,[::1]:26380/main/2?prefix=orders',
    'rediss+cluster://hub:secret@a:7000,b:7001'
  ]) {
    t.match(readEnvironment({ HUB_STORE: store }), { store, isDefaultStore: false })
  }
  const notRedis = [
    'redis://',
    'redis:x',
    'redis://:secret@h/db',
    'redis://:secret@h?x=1',
    'redis+sentinel://:secret@a',
    'redis+sentinel://:secret@a,/main',
    'redis+cluster://:secret@a/0',
    'redis+other://:secret@a',
    'redis://h/0#x',
    'REDIS://h'
  ]
  for (const store of [...notRedis, 'Memory', ' memory', 'https://me:secret@example.org', 'a\0b', 'file:/tmp']) {
    stops(t, { HUB_STORE: store }, 'HUB_STORE')
    t.throws(() => readEnvironment({ HUB_STORE: store }), { message: /^(?!.*secret)/ })
  }
})

t.test('LOG_LEVEL is a level of the logger', async (t) => {
  for (const level of ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']) {
    t.equal(readEnvironment({ LOG_LEVEL: level }).logLevel, level)
  }
  for (const level of ['INFO', 'verbose', 'constructor', '30']) stops(t, { LOG_LEVEL: level }, 'LOG_LEVEL')
})

t.test('HUB_CORS_ORIGIN is a list of origins, exactly as browsers send them', async (t) => {
  const list = ' https://app.example , http://localhost:5173,,https://[::1]:8443 '
  const origins = ['https://app.example', 'http://localhost:5173', 'https://[::1]:8443']
  t.strictSame(readEnvironment({ HUB_CORS_ORIGIN: list }).corsOrigins, origins)
  const wrong = ['*', 'null', 'app.example', 'https://app.example/', 'https://app.example/path', 'HTTPS://app.example']
  const more = ['https://app.example:443', 'https://*.example', 'file:///etc', 'data:,x', 'https://a@app.example']
  for (const origin of [...wrong, ...more]) {
    stops(t, { HUB_CORS_ORIGIN: `https://good.example,${origin}` }, 'HUB_CORS_ORIGIN')
  }
})

t.test('HUB_TRUST_PROXY is true, false, a number of proxies, or addresses', async (t) => {
  const good: [string, boolean | number | string[]][] = [
    ['true', true],
    ['false', false],
    ['1', 1],
    ['10', 10],
    ['10.0.0.1', ['10.0.0.1']],
    ['10.0.0.0/8, ::1 ,fd00::/8', ['10.0.0.0/8', '::1', 'fd00::/8']],
    ['10.0.0.1/32,::1/128', ['10.0.0.1/32', '::1/128']]
  ]
  for (const [text, value] of good) t.strictSame(readEnvironment({ HUB_TRUST_PROXY: text }).trustProxy, value)
  const wrong = [
    'yes',
    'TRUE',
    '-1',
    '100',
    '10.0.0',
    '10.0.0.1:80',
    'proxy.example',
    '10.0.0.0/33',
    '::1/129',
    '10.0.0.0/0'
  ]
  for (const text of [...wrong, '10.0.0.0/', '10.0.0.0/x', '10.0.0.0/8/8', '10.0.0.0/08', '10.0.0.1,nginx', '/8']) {
    stops(t, { HUB_TRUST_PROXY: text }, 'HUB_TRUST_PROXY')
  }
})

t.test('a certificate needs its key, and a key its certificate', async (t) => {
  const env = { HUB_TLS_CERT: 'cert.pem', HUB_TLS_KEY: 'key.pem' }
  t.strictSame(readEnvironment(env).tls, { cert: 'cert.pem', key: 'key.pem' })
  stops(t, { HUB_TLS_CERT: 'cert.pem' }, 'HUB_TLS_KEY')
  stops(t, { HUB_TLS_KEY: 'key.pem' }, 'HUB_TLS_CERT')
  stops(t, { HUB_TLS_CERT: '', HUB_TLS_KEY: 'key.pem' }, 'HUB_TLS_CERT')
})

t.test('only configured bounds of the history are passed on', async (t) => {
  t.strictSame(readEnvironment({ HUB_HISTORY_PER_USER: '0', HUB_HISTORY_AGE: '5' }).retention, { user: 0, age: 5 })
})

t.test('the link variables of a Kubernetes service called "hub" are not misspelled settings', async (t) => {
  const links = {
    HUB_SERVICE_HOST: '10.0.0.1',
    HUB_SERVICE_PORT: '80',
    HUB_PORT: 'tcp://10.0.0.1:80',
    HUB_PORT_80_TCP: 'x'
  }
  t.doesNotThrow(() => readEnvironment(links))
  t.throws(() => readEnvironment({ HUB_PORTAL: '1' }), /HUB_PORTAL/)
})

t.test('every variable of a limit is in the table of limits, with its default', async (t) => {
  const table = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'limits.md'), 'utf8')
  const notLimits = ['PORT', 'HUB_HEARTBEAT', 'HUB_RETRY', 'HUB_DRAIN_DELAY']
  for (const name of Object.keys(NUMBERS).filter((name) => !notLimits.includes(name)))
    t.match(table, new RegExp(`^\\| \`${name}\` +\\| [a-z0-9]`, 'm'), name)
})
