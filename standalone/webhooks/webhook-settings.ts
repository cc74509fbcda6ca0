import { DEFAULT_RETENTION, type Retention } from '../../services/event-log/retention.ts'
import { isLoopback } from '../loopback.ts'
import { fail, oneOf, splitList, type Variables, wholeNumber } from '../values.ts'

/** The webhooks of the standalone hub. */
export interface WebhookSettings {
  readonly url: URL
  /** Each as `whsec_` and base64; deliveries are signed with all of them. */
  readonly secrets: readonly string[]
  /** In milliseconds; undefined without messages about unread events. */
  readonly unreadAfter: number | undefined
}

const WEBHOOK_NAMES = ['HUB_WEBHOOK_URL', 'HUB_WEBHOOK_SECRET', 'HUB_WEBHOOK_ALLOW_HTTP', 'HUB_WEBHOOK_UNREAD_AFTER']

const MIN_UNREAD = 1_000
/** The secret in use, and its successor. */
const MAX_SECRETS = 2
/** The size of a secret by the specification, in bytes. */
const [MIN_BYTES, MAX_BYTES] = [24, 64]
const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/

export function readWebhooks(env: Variables, retention: Partial<Retention>): WebhookSettings | undefined {
  const isHttpAllowed = oneOf('HUB_WEBHOOK_ALLOW_HTTP', env.HUB_WEBHOOK_ALLOW_HTTP || 'false', ['true', 'false'])
  const text = env.HUB_WEBHOOK_URL || undefined
  if (text === undefined) {
    for (const name of WEBHOOK_NAMES) if (env[name]) fail(name, 'needs HUB_WEBHOOK_URL')
    return undefined
  }
  if (!env.HUB_WEBHOOK_SECRET) {
    fail(
      'HUB_WEBHOOK_SECRET',
      `must be set with HUB_WEBHOOK_URL: whsec_ and ${MIN_BYTES} to ${MAX_BYTES} random bytes in base64`
    )
  }
  if ([retention.user, retention.topic, retention.bytes].includes(0)) {
    fail('HUB_WEBHOOK_URL', 'needs history: HUB_HISTORY_PER_USER, HUB_HISTORY_PER_TOPIC and HUB_HISTORY_BYTES above 0')
  }
  // A check is history, too: a longer time would evict it before it is due.
  const maxUnread = (retention.age ?? DEFAULT_RETENTION.age) - 1
  const unreadAfter = wholeNumber(env, 'HUB_WEBHOOK_UNREAD_AFTER', MIN_UNREAD, maxUnread)
  return {
    url: webhookUrl(text, isHttpAllowed === 'true'),
    secrets: webhookSecrets(env.HUB_WEBHOOK_SECRET),
    unreadAfter
  }
}

/** No message repeats the URL: its path may be a secret. */
function webhookUrl(text: string, isHttpAllowed: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.hash !== '') {
    return fail('HUB_WEBHOOK_URL', 'is an https:// URL without a fragment')
  }
  if (url.username !== '' || url.password !== '') {
    fail('HUB_WEBHOOK_URL', 'has no user and no password; the receiver verifies the signature')
  }
  if (url.protocol === 'http:' && !isHttpAllowed && !isLoopback(url.hostname.replace(/^\[|\]$/g, ''))) {
    fail(
      'HUB_WEBHOOK_URL',
      'is an https:// URL, or http:// on this machine; for a private network set HUB_WEBHOOK_ALLOW_HTTP=true'
    )
  }
  return url
}

function webhookSecrets(text: string): string[] {
  const secrets = splitList(text, /\s/)
  if (secrets.length > MAX_SECRETS)
    fail('HUB_WEBHOOK_SECRET', `is one secret, or two separated by a space; got ${secrets.length}`)
  for (const secret of secrets) {
    const [, base64 = ''] = SECRET.exec(secret) ?? []
    const bytes = Buffer.from(base64, 'base64')
    if (bytes.toString('base64') !== base64 || bytes.length < MIN_BYTES || bytes.length > MAX_BYTES) {
      fail(
        'HUB_WEBHOOK_SECRET',
        `is whsec_ and ${MIN_BYTES} to ${MAX_BYTES} random bytes in base64, as openssl rand -base64 32 prints`
      )
    }
  }
  return secrets
}
