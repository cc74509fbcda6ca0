import t, { type Test } from 'tap'
import { EnvironmentError, readEnvironment } from '../../../standalone/environment.ts'
import { SECRET } from '../../support/webhook-receiver.ts'

const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 255).toString('base64')}`

function stops(t: Test, env: Record<string, string>, name: string): void {
  try {
    readEnvironment({ HUB_WEBHOOK_SECRET: SECRET, ...env })
    t.fail(`${JSON.stringify(env)} was taken`)
  } catch (error) {
    t.ok(error instanceof EnvironmentError)
    const { message } = error as Error
    t.ok(message.startsWith(`${name} `), message)
    t.notMatch(message, /canary/, 'neither the URL nor the secret is repeated')
  }
}

t.test('without a URL there are no webhooks', async (t) => {
  t.equal(readEnvironment({}).webhooks, undefined)
  t.equal(readEnvironment({ HUB_WEBHOOK_URL: '', HUB_WEBHOOK_SECRET: '' }).webhooks, undefined)
  stops(t, {}, 'HUB_WEBHOOK_SECRET')
  stops(t, { HUB_WEBHOOK_SECRET: '', HUB_WEBHOOK_ALLOW_HTTP: 'true' }, 'HUB_WEBHOOK_ALLOW_HTTP')
})

t.test('the URL is https, or http on this machine, or allowed', async (t) => {
  const read = (HUB_WEBHOOK_URL: string, env: Record<string, string> = {}) =>
    readEnvironment({ HUB_WEBHOOK_URL, HUB_WEBHOOK_SECRET: SECRET, ...env }).webhooks?.url.href
  for (const url of [
    'https://app.example/hooks?key=1',
    'https://10.0.0.7/',
    'http://localhost:8080/',
    'http://127.0.0.2/',
    'http://[::1]:8080/'
  ])
    t.equal(read(url), url)
  t.equal(read('http://worker:8080/', { HUB_WEBHOOK_ALLOW_HTTP: 'true' }), 'http://worker:8080/')
  for (const url of [
    'http://app.example/canary',
    'http://169.254.169.254/canary',
    'http://[fd00::1]/canary',
    'http://localhost.example/canary',
    'ftp://app.example/canary',
    'file:///canary',
    'https://user:canary@app.example/',
    'https://canary@app.example/',
    'https://app.example/#canary',
    'canary',
    'app.example/canary'
  ])
    stops(t, { HUB_WEBHOOK_URL: url }, 'HUB_WEBHOOK_URL')
  stops(t, { HUB_WEBHOOK_URL: 'ftp://a/', HUB_WEBHOOK_ALLOW_HTTP: 'true' }, 'HUB_WEBHOOK_URL')
  stops(t, { HUB_WEBHOOK_URL: 'https://a/', HUB_WEBHOOK_ALLOW_HTTP: 'yes' }, 'HUB_WEBHOOK_ALLOW_HTTP')
})

t.test('the secret is that of the specification, and a second one may replace it', async (t) => {
  const read = (HUB_WEBHOOK_SECRET: string) =>
    readEnvironment({ HUB_WEBHOOK_URL: 'https://app.example/', HUB_WEBHOOK_SECRET }).webhooks?.secrets
  for (const bytes of [24, 32, 64]) t.same(read(secretOf(bytes)), [secretOf(bytes)])
  t.same(read(`${secretOf(24)} ${SECRET}`), [secretOf(24), SECRET])
  for (const secret of [
    '',
    'canary',
    secretOf(32).slice(6),
    secretOf(23),
    secretOf(65),
    `${SECRET}!`,
    SECRET.replace('whsec_', 'whsec_-'),
    SECRET.replace(/=$/, ''),
    `${secretOf(24)} ${secretOf(25)} ${secretOf(26)}`
  ])
    stops(t, { HUB_WEBHOOK_URL: 'https://app.example/', HUB_WEBHOOK_SECRET: secret }, 'HUB_WEBHOOK_SECRET')
})

t.test('webhooks need history, in which they wait', async (t) => {
  for (const name of ['HUB_HISTORY_PER_USER', 'HUB_HISTORY_PER_TOPIC', 'HUB_HISTORY_BYTES'])
    stops(t, { HUB_WEBHOOK_URL: 'https://app.example/', [name]: '0' }, 'HUB_WEBHOOK_URL')
})

t.test('the time after which an event is unread is within the age of history', async (t) => {
  const url = { HUB_WEBHOOK_URL: 'https://app.example/', HUB_WEBHOOK_SECRET: SECRET }
  const read = (env: Record<string, string>) => readEnvironment({ ...url, ...env }).webhooks?.unreadAfter
  t.equal(read({}), undefined)
  t.equal(read({ HUB_WEBHOOK_UNREAD_AFTER: '1000' }), 1_000)
  t.equal(read({ HUB_WEBHOOK_UNREAD_AFTER: '100000000', HUB_HISTORY_AGE: '200000000' }), 100_000_000)
  for (const time of ['0', '999', '86400000', 'soon'])
    stops(t, { ...url, HUB_WEBHOOK_UNREAD_AFTER: time }, 'HUB_WEBHOOK_UNREAD_AFTER')
  stops(t, { ...url, HUB_WEBHOOK_UNREAD_AFTER: '5000', HUB_HISTORY_AGE: '5000' }, 'HUB_WEBHOOK_UNREAD_AFTER')
  stops(t, { HUB_WEBHOOK_SECRET: '', HUB_WEBHOOK_UNREAD_AFTER: '5000' }, 'HUB_WEBHOOK_UNREAD_AFTER')
})
