import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { PUBLISH_SECRET, tokenOf } from '../support/tokens.ts'

failOnWarnings(t)

const REPORTS = 'r'.repeat(43)
const BILLING = 'b'.repeat(43)
const ROTATED = 'c'.repeat(43)

async function build(t: Test): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  const apiKeys = readApiKeys(
    `reports:${REPORTS}:topic:reports/*,user:alice; billing:${BILLING}:publish; billing:${ROTATED}:publish`
  )
  await app.register(hubApp, { authentication: { publishers: { keys: [PUBLISH_SECRET] }, apiKeys } })
  return app
}

async function post(app: FastifyInstance, token: string, data: unknown, url = '/users/alice/events', key = 'k') {
  const headers = { authorization: `Bearer ${token}`, 'idempotency-key': key }
  const response = await app.inject({ method: 'POST', url, headers, payload: { data } })
  return { ...response.json(), status: response.statusCode }
}

const publisherToken = (claims: object) => tokenOf('service', { scope: 'publish', ...claims }, { key: PUBLISH_SECRET })

t.test('publishers with the same idempotency key neither suppress events nor get receipts of each other', async (t) => {
  const app = await build(t)
  const tokens = [
    REPORTS,
    BILLING,
    publisherToken({}),
    publisherToken({ sub: 'billing' }),
    publisherToken({ iss: 'other' }),
    publisherToken({ sub: undefined })
  ]
  const answers = await Promise.all(tokens.map((token, at) => post(app, token, `from ${at}`)))
  t.same(
    answers.map(({ status }) => status),
    tokens.map(() => 202)
  )
  t.equal(new Set(answers.map(({ id }) => id)).size, tokens.length)
  t.equal((await app.sse.history({ user: 'alice' })).events.length, tokens.length)
  for (const [at, token] of tokens.entries()) t.equal((await post(app, token, `from ${at}`)).id, answers[at].id)
})

t.test('an idempotency key that a publisher used in one topic is free in another', async (t) => {
  const app = await build(t)
  const squatted = await post(app, REPORTS, 'x', '/topics/reports%2F1/events', 'invoice-4711-paid')
  const paid = await post(app, BILLING, 'paid', '/users/alice/events', 'invoice-4711-paid')
  const own = await post(app, REPORTS, 'x', '/users/alice/events', 'invoice-4711-paid')
  t.equal(new Set([squatted.id, paid.id, own.id]).size, 3)
})

t.test('the old and the new API key of a publisher are the same publisher', async (t) => {
  const app = await build(t)
  const first = await post(app, BILLING, 'once')
  t.equal((await post(app, ROTATED, 'once')).id, first.id)
  t.equal((await app.sse.history({ user: 'alice' })).events.length, 1)
})

t.test('an idempotency key with different content is 422 with a code, and nothing is published', async (t) => {
  const app = await build(t)
  await post(app, BILLING, 'once')
  t.match(await post(app, BILLING, 'twice'), { status: 422, code: 'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED' })
  t.equal((await app.sse.history({ user: 'alice' })).events.length, 1)
})

t.test('110,000 keys of one publisher do not cause a duplicate event of another', async (t) => {
  const app = await build(t)
  await post(app, BILLING, 'once')
  for (let batch = 0; batch < 110; batch++) {
    const payload = Array.from({ length: 1_000 }, () => ({ to: { users: ['alice'] }, data: '', transient: true }))
    const headers = { authorization: `Bearer ${REPORTS}`, 'idempotency-key': `${batch}` }
    const { statusCode } = await app.inject({ method: 'POST', url: '/events', headers, payload })
    if (statusCode !== 202) t.equal(statusCode, 202)
  }
  await post(app, BILLING, 'once')
  t.equal((await app.sse.history({ user: 'alice' })).events.length, 1)
})
