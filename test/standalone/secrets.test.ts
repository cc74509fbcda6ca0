import Fastify from 'fastify'
import t from 'tap'
import { hubApp } from '../../app.ts'
import { answerUnreadableUrl, redactingSerializers, redactUrl } from '../../plugins/redaction.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { RawSocket } from '../support/raw-socket.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenOf } from '../support/tokens.ts'

failOnWarnings(t)

const API_KEY = 'canary-api-key'.padEnd(43, 'x')
const SUBSCRIBER_SECRET = 'canary-subscriber-secret'.padEnd(43, 'y')
const PUBLISHER_SECRET = 'canary-publisher-secret'.padEnd(43, 'z')
const FORGED = 'canary-forged-key'.padEnd(43, 'f')
const COOKIE = 'canary-cookie-of-the-host'

/** Every form in which a secret might occur in a log: as it is, as a list of bytes, or in the usual encodings. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    [...bytes].join(',')
  ]
}

t.test('no log line of any level and no answer has a secret in it', async (t) => {
  const lines: string[] = []
  const app = Fastify({
    logger: {
      level: 'trace',
      serializers: redactingSerializers,
      stream: { write: (line: string) => lines.push(line) }
    },
    routerOptions: { maxParamLength: 768 },
    frameworkErrors: answerUnreadableUrl
  })
  t.teardown(() => app.close())
  let isAway = false
  await app.register(hubApp, {
    corsOrigins: ['https://app.example'],
    rateLimit: 1_000_000,
    authentication: {
      subscribers: { keys: [SUBSCRIBER_SECRET], audience: 'hub' },
      publishers: { keys: [PUBLISHER_SECRET] },
      apiKeys: readApiKeys(`backend:${API_KEY}:publish,read,close,ticket`),
      cookie: 'hub_token'
    },
    hub: {
      authorizeTopic: (_identity, _topic, request) => {
        if (isAway)
          throw Object.assign(new Error(`cannot reach the host for ${request.url}`), {
            request,
            headers: request.headers
          })
        return true
      }
    }
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const token = tokenOf('alice', { aud: 'hub', topics: ['*'] }, { key: SUBSCRIBER_SECRET })
  const publisher = tokenOf('service', { scope: 'user:alice' }, { key: PUBLISHER_SECRET })
  const expired = tokenOf('alice', { aud: 'hub', exp: 1 }, { key: SUBSCRIBER_SECRET })
  const made = await app.inject({
    ...{ method: 'POST', url: '/tickets', payload: { user: 'alice' } },
    headers: { authorization: `Bearer ${API_KEY}` }
  })
  const { ticket } = made.json() as { ticket: string }
  const secrets = [API_KEY, SUBSCRIBER_SECRET, PUBLISHER_SECRET, FORGED, COOKIE, ticket, token, publisher, expired]
  const cookie = `hub_token=${token}; session=${COOKIE}`
  const bodies: string[] = []

  const credentials = [API_KEY, token, publisher, expired, FORGED].map((secret) => ({
    authorization: `Bearer ${secret}`,
    cookie
  }))
  const paths = [
    '/events',
    '/users',
    '/users/alice',
    '/users/alice/events',
    '/stats',
    '/tasks/demo',
    '/none',
    '/users/%zz',
    '/%',
    `/users/${'x'.repeat(800)}`,
    '/tickets',
    '/broadcast'
  ]
  for (const headers of [
    ...credentials,
    { cookie },
    { authorization: API_KEY },
    { authorization: `Basic ${API_KEY}` },
    { cookie, origin: 'https://evil.example' }
  ]) {
    for (const path of paths) {
      for (const method of ['HEAD', 'POST', 'DELETE', 'PUT'] as const) {
        for (const body of [{ payload: { data: 1 } }, { payload: `{"data": "${API_KEY}", nonsense` }]) {
          const response = await app.inject({
            ...{
              method,
              url: `${path}?ticket=${ticket}&access_token=${token}&lastEventId=1.abc`,
              ...(method === 'POST' && body)
            },
            headers: { 'content-type': 'application/json', ...(headers as Record<string, string>) }
          })
          if (response.statusCode >= 400) bodies.push(response.payload)
        }
      }
    }
  }
  isAway = true
  for (const query of [`ticket=${ticket}`, 'ticket=wrong', '']) {
    const client = await StreamClient.open(`${url}/events?${query}&topics=news`, {
      headers: query === '' ? { cookie } : {}
    })
    await client.end()
    bodies.push(client.text)
  }
  // Errors of Node's parser have the bytes that it could not parse.
  for (const nonsense of [
    'GET /events HTTP/9.9\r\n',
    'G\0T / HTTP/1.1\r\n',
    `GET /?ticket=${ticket} HTTP/1.1\r\nContent-Length: x\r\n`
  ]) {
    const raw = await RawSocket.open(port)
    raw.send(`${nonsense}Authorization: Bearer ${API_KEY}\r\nCookie: ${cookie}\r\n\r\n`)
    await raw.closed()
    bodies.push(raw.text)
  }
  await app.close()

  t.ok(lines.length > 500, `${lines.length} lines were logged`)
  t.ok(
    lines.some((line) => line.includes('"client error"')),
    'including errors of the parser'
  )
  t.ok(
    lines.some((line) => line.includes('ticket=…')),
    'URLs with tickets'
  )
  t.ok(
    lines.some((line) => line.includes('cannot reach the host')),
    'errors of the host'
  )
  t.ok(bodies.length > 300, `${bodies.length} errors were answered`)
  for (const secret of secrets) {
    for (const spelling of spellings(secret)) {
      t.notOk(
        lines.find((line) => line.includes(spelling)),
        'a line of the log'
      )
      t.notOk(
        bodies.find((body) => body.includes(spelling)),
        'an answer'
      )
    }
  }
})

t.test('a URL is logged without the credentials that open a stream', async (t) => {
  const cases: [string, string][] = [
    ['/events', '/events'],
    ['/events?ticket=abc', '/events?ticket=…'],
    ['/events?topics=a&ticket=abc&last=3#x', '/events?topics=a&ticket=…&last=3#x'],
    ['/events?TICKET=abc&Access_Token=d', '/events?TICKET=…&Access_Token=…'],
    ['/events?ticket=a&ticket=b', '/events?ticket=…&ticket=…'],
    ['/events?%74icket=abc', '/events?%74icket=…'],
    ['/events?%zz=abc&a=b', '/events?%zz=…&a=b'],
    ['GET "/events?ticket=abc" failed', 'GET "/events?ticket=…" failed'],
    ['/events?lastEventId=1.abc', '/events?lastEventId=1.abc'],
    ['/events?myticket=abc', '/events?myticket=abc'],
    ['/events?a?ticket=abc', '/events?a?ticket=…']
  ]
  for (const [url, expected] of cases) t.equal(redactUrl(url), expected)
})

t.test('the time to redact a text is linear in its length, for any content', async (t) => {
  const length = 128 * 1_024
  for (const piece of ['?', '&', ';', '?a', '?ticket', '?=', '%', '?%']) {
    const text = piece.repeat(length / piece.length)
    const start = performance.now()
    redactUrl(text)
    // A quadratic search would take half a minute.
    t.ok(performance.now() - start < 1_000, piece)
  }
})

t.test('an error is logged with its message and causes, and none of its other properties', async (t) => {
  const root = new Error('the root at /events?ticket=abc')
  const error = Object.assign(new Error('outer', { cause: root }), {
    ...{ code: 'ECODE', statusCode: 503, rawPacket: Buffer.from('canary'), headers: 'canary', request: { canary: 1 } }
  })
  const logged = redactingSerializers.err(error)
  t.match(logged, {
    type: 'Error',
    message: 'outer',
    code: 'ECODE',
    statusCode: 503,
    cause: { message: 'the root at /events?ticket=…' }
  })
  t.notMatch(JSON.stringify(logged), 'canary')
  const circle: Error = new Error('circle')
  circle.cause = circle
  t.ok(JSON.stringify(redactingSerializers.err(circle)))
  t.same(redactingSerializers.err('text' as never), { type: 'string', message: '', stack: '' })
})
