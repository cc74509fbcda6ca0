import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { hashSecret } from '../../services/access/api-keys.ts'
import { EnvironmentError, readEnvironment } from '../../standalone/environment.ts'
import { keyPair, PUBLISH_SECRET, SECRET } from '../support/tokens.ts'

const KEY = 'k'.repeat(43)
const OTHER = 'o'.repeat(43)
const ONE_WORD_SECRET = 's'.repeat(40)
const KEYS = { HUB_API_KEYS: `backend:${KEY}:publish` }

/** Checks that the start fails with the name of the variable, and that the error repeats no secret. */
function stops(t: Test, env: Record<string, string>, name: string, message = /./): void {
  try {
    readEnvironment(env)
    t.fail(`${JSON.stringify(env).slice(0, 200)} was taken`)
  } catch (error) {
    const text = `${(error as Error).message}`
    t.ok(error instanceof EnvironmentError && text.startsWith(`${name} `), text)
    t.match(text, message)
    for (const secret of [KEY, OTHER, SECRET, 'short-secret']) t.notOk(text.includes(secret), 'the message has no key')
  }
}

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'hub-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

t.test('with keys the hub requires authentication on every address, and states its rate limit', async (t) => {
  for (const HOST of ['127.0.0.1', '0.0.0.0', '192.168.0.1', '::']) {
    const { authentication, loopbackOnly, rateLimit, host } = readEnvironment({ HOST, ...KEYS })
    t.match(
      { authentication, loopbackOnly, rateLimit, host },
      {
        ...{ loopbackOnly: false, rateLimit: 1_000, host: HOST },
        authentication: {
          apiKeys: [{ id: 'backend' }],
          subscribers: undefined,
          publishers: undefined,
          cookie: undefined
        }
      }
    )
  }
  t.equal(readEnvironment({ ...KEYS, HUB_RATE_LIMIT: '0' }).rateLimit, 0)
})

t.test('without keys the hub is open to this machine, or to all if so configured', async (t) => {
  t.match(readEnvironment({}), { authentication: undefined, loopbackOnly: true, rateLimit: 0 })
  t.match(readEnvironment({ HOST: '0.0.0.0', HUB_AUTH: 'none' }), {
    authentication: undefined,
    loopbackOnly: false,
    rateLimit: 1_000
  })
  stops(t, { HOST: '0.0.0.0' }, 'HUB_AUTH', /HUB_API_KEYS/)
})

t.test('an open hub with keys is a contradiction', async (t) => {
  stops(t, { HUB_AUTH: 'none', ...KEYS }, 'HUB_AUTH')
  stops(t, { HUB_AUTH: 'none', HUB_PUBLISH_JWT_SECRET: ONE_WORD_SECRET }, 'HUB_AUTH')
})

t.test('a key has an id and scopes; the old one and the new one may have the same', async (t) => {
  const hash = hashSecret(OTHER).toString('hex')
  const text = ` backend:${KEY}:publish, read ;; backend:sha256-${hash}:user:*,topic:orders%2C/*\n mail:${'m'.repeat(32)}:ticket; `
  const keys = readEnvironment({ HUB_API_KEYS: text }).authentication?.apiKeys
  t.match(keys, [
    { id: 'backend', hash: hashSecret(KEY), scopes: { broadcast: true, read: true, ticket: false } },
    {
      id: 'backend',
      hash: hashSecret(OTHER),
      scopes: {
        broadcast: false,
        users: [{ text: '', isPrefix: true }],
        topics: [{ text: 'orders,/', isPrefix: true }]
      }
    },
    { id: 'mail', scopes: { ticket: true, users: [] } }
  ])
  t.notOk(JSON.stringify(keys).includes(KEY), 'the key itself is not kept')
})

t.test('a comment ends with its line, and a semicolon in it does not begin an entry', async (t) => {
  const text = `# leaked; old:${OTHER}:publish; older:${'m'.repeat(32)}:publish\n backend:${KEY}:publish\n#;x:${'n'.repeat(32)}:read`
  t.match(readEnvironment({ HUB_API_KEYS: text }).authentication?.apiKeys, [{ id: 'backend' }])
  t.equal(readEnvironment({ HUB_API_KEYS: text }).authentication?.apiKeys.length, 1)
})

t.test('a key that no Bearer header could carry stops the start', async (t) => {
  stops(t, { HUB_API_KEYS: `backend:${'k'.repeat(16)}=${'k'.repeat(16)}:publish` }, 'HUB_API_KEYS', /= at the end/)
  const padded = `backend:${'k'.repeat(31)}==:publish`
  t.equal(readEnvironment({ HUB_API_KEYS: padded }).authentication?.apiKeys.length, 1)
})

t.test('the key of the subscribers is recognized in any encoding', async (t) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const spki = publicKey.export({ type: 'spki', format: 'pem' }) as string
  const pkcs1 = publicKey.export({ type: 'pkcs1', format: 'pem' }) as string
  stops(t, { HUB_JWT_PUBLIC_KEY: spki, HUB_PUBLISH_JWT_PUBLIC_KEY: pkcs1 }, 'HUB_PUBLISH_JWT_PUBLIC_KEY', /subscribers/)
  const crlf = spki.replaceAll('\n', '\r\n')
  stops(t, { HUB_JWT_PUBLIC_KEY: spki, HUB_PUBLISH_JWT_PUBLIC_KEY: crlf }, 'HUB_PUBLISH_JWT_PUBLIC_KEY', /subscribers/)
})

t.test('an error about a misnamed variable does not repeat its secret', async (t) => {
  const secret = 'correct-horse-battery-staple'
  for (const name of [
    'PORT',
    'HUB_HEARTBEAT',
    'HUB_CORS_ORIGIN',
    'HUB_TRUST_PROXY',
    'HUB_STORE',
    'LOG_LEVEL',
    'HUB_AUTH'
  ]) {
    const value = name === 'HUB_STORE' ? `${secret}://x` : secret
    try {
      readEnvironment({ [name]: value })
      t.fail(name)
    } catch (error) {
      t.match((error as Error).message, name)
      t.notMatch((error as Error).message, secret, name)
    }
  }
})

t.test('keys may be in a file, one a line', async (t) => {
  const path = join(folder(t), 'keys')
  writeFileSync(path, `# the backend, until spring\nbackend:${KEY}:publish\n\nbackend:${OTHER}:publish\n`)
  t.equal(readEnvironment({ HUB_API_KEYS: path }).authentication?.apiKeys.length, 2)
  writeFileSync(path, '# none yet\n')
  stops(t, { HUB_API_KEYS: path }, 'HUB_API_KEYS', /no key/)
  stops(t, { HUB_API_KEYS: `${path}.none` }, 'HUB_API_KEYS', /cannot be read: ENOENT/)
})

t.test('impossible API keys stop the start', async (t) => {
  const wrong: [string, RegExp][] = [
    [';', /no key/],
    [KEY, /entry 1/],
    [`backend:${KEY}`, /entry 1/],
    [`backend:${KEY}:publish;mail:${OTHER}`, /entry 2/],
    [`:${KEY}:publish`, /id/],
    [`back end:${KEY}:publish`, /id/],
    [`${'x'.repeat(65)}:${KEY}:publish`, /id/],
    [`backend:${'k'.repeat(31)}:publish`, /32 to 256.*"backend"/],
    [`backend:${'k'.repeat(257)}:publish`, /32 to 256/],
    [`backend:${'k'.repeat(40)}.x:publish`, /32 to 256/],
    [`backend:sha256-${'0'.repeat(63)}:publish`, /sha256/],
    [`backend:${KEY}:`, /scopes/],
    [`backend:${KEY}:,`, /scopes/],
    [`backend:${KEY}:publsh`, /scopes.*"backend"/],
    [`backend:${KEY}:publish,user:`, /scopes/],
    [`a:${KEY}:publish;b:${KEY}:read`, /duplicate key: entry 2/],
    [`a:${KEY}:publish;b:sha256-${hashSecret(KEY).toString('hex')}:read`, /duplicate key: entry 2/],
    [[KEY, OTHER, 'z'.repeat(32)].map((key) => `a:${key}:read`).join(';'), /at most 2 keys of one id.*"a"/],
    [Array.from({ length: 1_001 }, (_, at) => `k${at}:${`${at}`.padStart(40, 'k')}:read`).join(';'), /at most 1000/]
  ]
  for (const [keys, message] of wrong) stops(t, { HUB_API_KEYS: keys }, 'HUB_API_KEYS', message)
})

t.test('tokens are signed with a secret or with a key pair', async (t) => {
  const { pem } = keyPair('ec')
  const path = join(folder(t), 'key.pem')
  writeFileSync(path, pem)
  const keysOf = (env: Record<string, string>) => readEnvironment({ ...KEYS, ...env }).authentication?.subscribers?.keys
  t.same(keysOf({ HUB_JWT_SECRET: ONE_WORD_SECRET }), [ONE_WORD_SECRET])
  t.same(
    keysOf({ HUB_JWT_SECRET: `${ONE_WORD_SECRET} ${OTHER}` }),
    [ONE_WORD_SECRET, OTHER],
    'the new one and the old one'
  )
  t.same(keysOf({ HUB_JWT_PUBLIC_KEY: pem }), [pem.trim()])
  t.same(keysOf({ HUB_JWT_PUBLIC_KEY: pem.trim().replaceAll('\n', '\\n') }), [pem.trim()])
  t.same(keysOf({ HUB_JWT_PUBLIC_KEY: path }), [pem.trim()])
  t.equal(keysOf({ HUB_JWT_PUBLIC_KEY: pem + keyPair('rsa').pem })?.length, 2)
  const options = { HUB_JWT_AUDIENCE: ' hub ', HUB_JWT_ISSUER: 'https://issuer.example', HUB_JWT_COOKIE: '__Host-hub' }
  t.match(readEnvironment({ ...KEYS, HUB_JWT_SECRET: ONE_WORD_SECRET, ...options }).authentication, {
    ...{ subscribers: { audience: 'hub', issuer: 'https://issuer.example' }, cookie: '__Host-hub' }
  })
  t.match(
    readEnvironment({ HUB_PUBLISH_JWT_SECRET: OTHER, HUB_PUBLISH_JWT_AUDIENCE: 'x', HUB_PUBLISH_JWT_ISSUER: 'y' })
      .authentication,
    {
      ...{ publishers: { keys: [OTHER], audience: 'x', issuer: 'y' }, subscribers: undefined }
    }
  )
})

t.test('impossible keys of tokens stop the start', async (t) => {
  const { pem, privateKey } = keyPair('ec')
  for (const prefix of ['HUB_JWT', 'HUB_PUBLISH_JWT']) {
    const secret = `${prefix}_SECRET`
    const publicKey = `${prefix}_PUBLIC_KEY`
    const wrong: [string, string, RegExp][] = [
      [secret, 'short-secret', /32 bytes/],
      [secret, SECRET, /one key, or two separated by a space/],
      [secret, [KEY, OTHER, ONE_WORD_SECRET].join(' '), /one key, or two/],
      [publicKey, '/none/key.pem', /ENOENT/],
      [publicKey, 'MIIB', /PEM/],
      [publicKey, '-----BEGIN PUBLIC KEY-----', /one key/],
      [publicKey, '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /PEM/],
      [publicKey, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, /private/],
      [publicKey, keyPair('rsa', 1_024).pem, /2048/]
    ]
    for (const [name, value, message] of wrong) stops(t, { ...KEYS, [name]: value }, name, message)
    stops(t, { ...KEYS, [secret]: ONE_WORD_SECRET, [publicKey]: pem }, publicKey)
    for (const name of [`${prefix}_AUDIENCE`, `${prefix}_ISSUER`]) {
      stops(t, { ...KEYS, [name]: 'x' }, name, /needs/)
      stops(t, { ...KEYS, [secret]: ONE_WORD_SECRET, [name]: 'x'.repeat(1_025) }, name)
    }
  }
  stops(t, { ...KEYS, HUB_JWT_COOKIE: 'x' }, 'HUB_JWT_COOKIE', /needs/)
  for (const name of ['a b', 'a=b', 'a;b', 'é', 'x'.repeat(129)])
    stops(t, { ...KEYS, HUB_JWT_SECRET: ONE_WORD_SECRET, HUB_JWT_COOKIE: name }, 'HUB_JWT_COOKIE')
})

t.test('the key of subscribers must differ from that of publishers, and publishers must have one', async (t) => {
  const { pem } = keyPair('ec')
  stops(t, { HUB_JWT_SECRET: ONE_WORD_SECRET }, 'HUB_API_KEYS', /nobody could publish/)
  stops(t, { HUB_JWT_SECRET: ONE_WORD_SECRET, HUB_PUBLISH_JWT_SECRET: ONE_WORD_SECRET }, 'HUB_PUBLISH_JWT_SECRET')
  stops(t, { HUB_JWT_SECRET: `${KEY} ${OTHER}`, HUB_PUBLISH_JWT_SECRET: OTHER }, 'HUB_PUBLISH_JWT_SECRET')
  stops(t, { HUB_JWT_PUBLIC_KEY: pem, HUB_PUBLISH_JWT_PUBLIC_KEY: `${pem}\n\n` }, 'HUB_PUBLISH_JWT_PUBLIC_KEY')
  t.ok(
    readEnvironment({ HUB_JWT_SECRET: ONE_WORD_SECRET, HUB_PUBLISH_JWT_SECRET: PUBLISH_SECRET.replaceAll(' ', '_') })
  )
})
