import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { describeSettings, publicSettings } from '../../standalone/describe-settings.ts'
import { EnvironmentError, readEnvironment } from '../../standalone/environment.ts'
import { withSettingFiles } from '../../standalone/setting-files.ts'
import { SETTINGS } from '../../standalone/setting-list.ts'
import { ROOT } from '../support/packed-host.ts'
import { ServerProcess } from '../support/server-process.ts'

t.setTimeout(120_000)

const KEY = 'canary-key'.padEnd(43, 'k')
const NEXT_KEY = 'canary-next'.padEnd(43, 'n')
const SECRET = 'canary-secret-of-subscribers'.padEnd(43, 's')
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

t.test('every setting has an entry in the table of its page', async (t) => {
  const page = readFileSync(join(ROOT, 'docs', 'settings.md'), 'utf8')
  const table = page.slice(page.indexOf('| variable'))
  for (const { name } of SETTINGS) {
    const end = name.replace(/^HUB(_[A-Z]+)+?(?=_(PER_|EVERYONE|PUBLIC|AUDIENCE|ISSUER))/, '')
    t.ok(table.includes(`\`${name}\``) || table.includes(`\`${end}\``), name)
  }
})

t.test('settings are read from a file, which the environment overrides', async (t) => {
  const folder = t.testdir({
    'hub.json': JSON.stringify({
      PORT: 4000,
      HUB_STORE: 'memory',
      HUB_MAX_STREAMS: 10,
      HUB_CORS_ORIGIN: ['https://a.example', 'https://b.example'],
      HUB_TRUST_PROXY: true
    })
  })
  const HUB_CONFIG = join(folder, 'hub.json')
  t.match(readEnvironment({ HUB_CONFIG, HUB_MAX_STREAMS: '20', PORT: '' }), {
    ...{ port: 4000, store: 'memory', maxStreams: 20, trustProxy: true },
    corsOrigins: ['https://a.example', 'https://b.example']
  })
})

t.test('a file of settings with a mistake stops the start, and the message repeats none of its content', async (t) => {
  const folder = t.testdir({
    text: 'canary',
    list: '["canary"]',
    unknown: '{"HUB_MAX_STREMS":"canary"}',
    object: '{"HUB_STORE":{"canary":1}}',
    nested: '{"HUB_CONFIG":"other"}',
    number: '{"PORT":70000}'
  })
  for (const [name, complaint] of [
    ['text', /^HUB_CONFIG names a file that is not JSON/],
    ['list', /^HUB_CONFIG names a file with a JSON object/],
    ['unknown', /^HUB_CONFIG has the setting "HUB_MAX_STREMS"/],
    ['object', /^HUB_CONFIG has a value of HUB_STORE/],
    ['nested', /^HUB_CONFIG has the setting "HUB_CONFIG"/],
    ['number', /^PORT is a whole number from 0 to 65535/],
    ['missing', /^HUB_CONFIG names a file that cannot be read: ENOENT/]
  ] as const) {
    const read = () => readEnvironment({ HUB_CONFIG: join(folder, name) })
    let thrown: unknown
    try {
      read()
    } catch (error) {
      thrown = error
    }
    t.ok(thrown instanceof EnvironmentError, name)
    t.match((thrown as Error).message, complaint)
    t.notMatch((thrown as Error).message, 'canary')
  }
})

t.test('a secret is read from the file that its variable with _FILE names', async (t) => {
  const folder = t.testdir({ keys: `backend:${KEY}:publish\n`, jwt: `${SECRET}\n`, store: 'memory\n', empty: '\n' })
  const file = (name: string) => join(folder, name)
  const { authentication, store } = readEnvironment({
    HUB_API_KEYS_FILE: file('keys'),
    HUB_JWT_SECRET_FILE: file('jwt'),
    HUB_STORE_FILE: file('store')
  })
  t.match(authentication, { apiKeys: [{ id: 'backend' }], subscribers: { keys: [SECRET] } })
  t.equal(store, 'memory')
  t.throws(
    () => readEnvironment({ HUB_JWT_SECRET: 'x', HUB_JWT_SECRET_FILE: file('jwt') }),
    /^HUB_JWT_SECRET and HUB_JWT_SECRET_FILE exclude/
  )
  t.throws(() => readEnvironment({ HUB_JWT_SECRET_FILE: file('empty') }), /^HUB_JWT_SECRET_FILE names an empty file/)
  t.throws(
    () => readEnvironment({ HUB_API_KEYS_FILE: file('none') }),
    /^HUB_API_KEYS_FILE names a file that cannot be read: ENOENT/
  )
  t.throws(() => readEnvironment({ HUB_MAX_STREAMS_FILE: file('keys') }), /is not a setting/)
  for (const { name, isSecret } of SETTINGS)
    if (isSecret) t.equal(withSettingFiles({ [`${name}_FILE`]: file('store') })[name], 'memory', name)
})

t.test('the description of the settings has every default, and no secret', async (t) => {
  const secret = `whsec_${Buffer.from('canary of a webhook secret').toString('base64')}`
  const environment = readEnvironment({
    HUB_STORE: 'redis://user:canary-password@redis.example:6379/0?prefix=canary',
    HUB_API_KEYS: `backend:${KEY}:publish,read,user:alice*`,
    HUB_JWT_SECRET: SECRET,
    HUB_WEBHOOK_URL: 'https://receiver.example/canary-path?canary',
    HUB_WEBHOOK_SECRET: secret,
    HUB_MAX_STREAMS: '7'
  })
  const described = describeSettings(environment)
  t.match(described, {
    ...{ port: 3000, maxStreams: 7, maxStreamsPerUser: 100, heartbeatInterval: 15_000, retention: { user: 1_000 } },
    ...{ store: 'redis://redis.example:6379/0', tls: 'off', webhooks: { to: 'https://receiver.example' } },
    authentication: { apiKeys: ['backend: broadcast,read,user:*,user:alice*,topic:*'], subscriberKeys: 1 }
  })
  t.notMatch(JSON.stringify(described), /canary|whsec/)
  const shown = publicSettings(environment)
  t.match(shown, { authentication: 'on', store: described.store })
  t.notMatch(JSON.stringify(shown), /canary|whsec|backend/)
  t.notMatch(JSON.stringify(described), 'undefined')
})

t.test('SIGHUP replaces the keys without a restart; a mistake keeps those in use', async (t) => {
  const folder = t.testdir({ keys: `old:${KEY}:publish\n` })
  const path = join(folder, 'keys')
  const server = new ServerProcess(t, { HUB_API_KEYS_FILE: path, LOG_LEVEL: 'info' })
  const url = await server.url()
  const publish = async (key: string) => {
    const headers = { ...bearer(key), 'content-type': 'application/json' }
    return (await fetch(`${url}/broadcast`, { method: 'POST', headers, body: '{"data":1}' })).status
  }
  const reload = async (content: string, line: RegExp) => {
    writeFileSync(path, content)
    server.child.kill('SIGHUP')
    while (!line.test(server.stdout)) await once(server.child.stdout as NodeJS.ReadableStream, 'data')
  }
  t.same([await publish(KEY), await publish(NEXT_KEY)], [202, 401])
  await reload(`new:${NEXT_KEY}:publish\n`, /the keys were read again/)
  t.same([await publish(KEY), await publish(NEXT_KEY)], [401, 202])
  await reload('new:short:publish\n', /could not be read again; those in use remain/)
  t.equal(await publish(NEXT_KEY), 202)
  t.match(server.stdout, /"settings":\{.*"port":0.*"msg":"the hub serves"/)
  t.notMatch(server.stdout, /canary/)
  t.equal(await server.stop('SIGTERM'), 0)
})

t.test('an open hub warns at its start', async (t) => {
  const server = new ServerProcess(t, { LOG_LEVEL: 'warn' })
  await server.url()
  t.equal(await server.stop('SIGTERM'), 0)
  t.match(server.stdout, /"level":40.*without authentication/)
})
