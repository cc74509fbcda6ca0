import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { failOnWarnings } from '../support/build.ts'
import { SECRET, tokenOf } from '../support/tokens.ts'

failOnWarnings(t)

const KEY = 'k'.repeat(43)
const READER = 'r'.repeat(43)
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function build(t: Test) {
  const app = Fastify()
  t.teardown(() => app.close())
  const apiKeys = readApiKeys(`backend:${KEY}:user:alice,ticket; reader:${READER}:read`)
  const authentication = { apiKeys, subscribers: { keys: [SECRET] }, cookie: 'hub' }
  await app.register(hubApp, { authentication, corsOrigins: ['https://app.example'] })
  const { id } = await app.sse.send('alice', { data: 'a notification', inbox: true })
  const call = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, headers: object, payload?: object) => {
    const response = await app.inject({ method, url, headers: { ...headers }, ...(payload && { payload }) })
    return response.statusCode
  }
  return { app, id, call }
}

t.test('a token, a ticket and a cookie of a subscriber read and mark the own inbox', async (t) => {
  const { app, id, call } = await build(t)
  const issued = await app.inject({ method: 'POST', url: '/tickets', headers: bearer(KEY), payload: { user: 'alice' } })
  const { ticket } = issued.json()
  const credentials: [string, object][] = [
    ['', bearer(tokenOf('alice'))],
    [`?ticket=${ticket}`, {}],
    ['', { cookie: `hub=${tokenOf('alice')}` }]
  ]
  for (const [query, headers] of credentials) {
    for (const path of ['/me/inbox', '/me/events']) {
      const response = await app.inject({ url: path + query, headers: { ...headers } })
      t.match(response.json(), { events: [{ id }] }, path)
    }
    t.equal(await call('POST', `/me/read${query}`, headers, { upTo: id }), 200)
  }
  t.equal(await app.sse.unread('alice'), 0)
})

t.test('neither an invalid credential nor a publisher is a subscriber', async (t) => {
  const { app, id, call } = await build(t)
  for (const [query, headers] of [
    ['', {}],
    ['', bearer(KEY)],
    ['', bearer(tokenOf('alice', {}, { key: 'another secret of more than 32 bytes' }))],
    ['?ticket=nothing', {}],
    ['?user=alice', {}]
  ] as const) {
    for (const path of ['/me/inbox', '/me/events']) t.equal(await call('GET', path + query, headers), 401, path)
    t.equal(await call('POST', `/me/read${query}`, headers, { upTo: id }), 401)
  }
  t.equal(await app.sse.unread('alice'), 1)
})

t.test(
  'the topics of a stream change only for its subscriber, who is identified before the body is read',
  async (t) => {
    const { call } = await build(t)
    const url = '/streams/none/topics'
    for (const headers of [
      {},
      bearer(KEY),
      bearer(tokenOf('alice', {}, { key: 'another secret of more than 32 bytes' }))
    ]) {
      t.equal(await call('PUT', url, headers, { topics: [] }), 401)
      const broken = { ...headers, 'content-type': 'application/json' }
      t.equal(await call('PUT', url, broken, Buffer.from('{')), 401, 'the body is not parsed')
    }
    t.equal(await call('PUT', url, bearer(tokenOf('alice')), { topics: [] }), 404)
  }
)

t.test('a page of another origin cannot mark an inbox as read with the cookie of a user', async (t) => {
  const { app, id, call } = await build(t)
  const cookie = `hub=${tokenOf('alice')}`
  for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }, { origin: 'null' }]) {
    t.equal(await call('POST', '/me/read', { cookie, ...headers }, { upTo: id }), 403)
    t.equal(await call('GET', '/me/inbox', { cookie, ...headers }), 403)
  }
  const form = { cookie, 'content-type': 'text/plain' }
  const plain = await app.inject({ method: 'POST', url: '/me/read', headers: form, payload: `{"upTo":"${id}"}` })
  t.equal(plain.statusCode, 415, 'a form cannot')
  t.equal(await app.sse.unread('alice'), 1)
  t.equal(await call('POST', '/me/read', { cookie, origin: 'https://app.example' }, { upTo: id }), 200)
})

t.test('a publisher needs the right to read an inbox, and that to publish to retract from it', async (t) => {
  const { id, call } = await build(t)
  const inbox = '/users/alice/inbox'
  t.equal(await call('GET', inbox, bearer(KEY)), 403)
  t.equal(await call('GET', inbox, bearer(READER)), 200)
  t.equal(await call('GET', inbox, bearer(tokenOf('alice'))), 401, 'a subscriber is no publisher')
  t.equal(await call('DELETE', `${inbox}/${id}`, bearer(READER)), 403)
  t.equal(await call('DELETE', `/users/bob/inbox/${id}`, bearer(KEY)), 403)
  t.equal(await call('DELETE', `${inbox}/${id}`, {}), 401)
  t.equal(await call('DELETE', `${inbox}/${id}`, bearer(KEY)), 200)
})
