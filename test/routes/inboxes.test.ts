import t from 'tap'
import { buildRoutes, failOnWarnings, type HubHost } from '../support/build.ts'

failOnWarnings(t)

interface Page {
  readonly events: { readonly id: string; readonly data: string; readonly isRead: boolean }[]
  readonly unread: number
  readonly readUpTo: string | null
  readonly next: string | null
}

async function call<Answer>(host: HubHost, method: string, path: string, body?: unknown): Promise<Answer> {
  const init = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(`${host.url}/hub${path}`, { method, ...init })
  return { status: response.status, ...((await response.json()) as object) } as Answer
}

const textsOf = ({ events }: Page): string[] => events.map(({ data }) => data)

t.test('a bell: the inbox is paged, read and counted, alike on every stream of the user', async (t) => {
  const host = await buildRoutes(t)
  const url = await host.listen()
  const phone = await host.client(`${url}/hub/events?user=alice`)
  const laptop = await host.client(`${url}/hub/events?user=alice`)
  const ids: string[] = []
  for (let data = 1; data <= 5; data++) {
    const { id, status } = await call<{ id: string; status: number }>(host, 'POST', '/users/alice/events', {
      data: `${data}`,
      inbox: true
    })
    t.equal(status, 202)
    ids.push(id)
  }
  await call(host, 'POST', '/users/alice/events', { data: 'of no inbox' })
  const first = await call<Page>(host, 'GET', '/me/inbox?user=alice&limit=2')
  t.same([textsOf(first), first.unread, first.readUpTo], [['5', '4'], 5, null])
  const second = await call<Page>(host, 'GET', `/me/inbox?user=alice&limit=2&before=${first.next}`)
  t.same(textsOf(second), ['3', '2'])
  const last = await call<Page>(host, 'GET', `/me/inbox?user=alice&limit=2&before=${second.next}`)
  t.same([textsOf(last), last.next], [['1'], null])
  const newer = await call<Page>(host, 'GET', `/me/inbox?user=alice&after=${ids[2]}`)
  t.same(textsOf(newer), ['5', '4'])

  t.match(await call(host, 'POST', '/me/read?user=alice', { upTo: ids[3] }), { status: 200, upTo: ids[3], unread: 1 })
  for (const client of [phone, laptop]) t.match(JSON.parse((await client.event('hub.read')).data), { unread: 1 })
  t.match(await call(host, 'POST', '/me/read?user=alice', { upTo: ids[0] }), { upTo: ids[3], unread: 1 }, 'never back')
  const read = await call<Page>(host, 'GET', '/users/alice/inbox')
  t.same(
    [read.unread, read.readUpTo, read.events.map(({ isRead }) => isRead)],
    [1, ids[3], [false, true, true, true, true]]
  )
  const bob = await call<Page>(host, 'GET', '/me/inbox?user=bob')
  t.same([textsOf(bob), bob.unread], [[], 0])
})

t.test('a publisher retracts an event from the inbox of one user', async (t) => {
  const host = await buildRoutes(t)
  const url = await host.listen()
  const alice = await host.client(`${url}/hub/events?user=alice`)
  const { id } = await host.app.sse.send(['alice', 'bob'], { data: 'a mistake', inbox: true })
  await alice.count(1)
  t.match(await call(host, 'DELETE', `/users/alice/inbox/${id}`), { status: 200, retracted: true })
  t.match(JSON.parse((await alice.event('hub.retract')).data), { id })
  t.match(await call(host, 'DELETE', `/users/alice/inbox/${id}`), { status: 200, retracted: false })
  t.match(await call(host, 'DELETE', '/users/alice/inbox/nothing'), { status: 200, retracted: false })
  t.match(await call(host, 'GET', '/users/alice/inbox'), { events: [], unread: 0 })
  t.match(await call(host, 'GET', '/users/bob/inbox'), { events: [{ id }], unread: 1 }, 'the others keep it')
})

t.test('invalid calls have a code, and change nothing', async (t) => {
  const host = await buildRoutes(t)
  await host.listen()
  const { id } = await host.app.sse.send('alice', { data: '', inbox: true })
  const invalid = { status: 400, code: 'SSE_HUB_ERR_INVALID_REQUEST' }
  const unknown = { status: 400, code: 'SSE_HUB_ERR_UNKNOWN_CURSOR' }
  for (const body of [{}, { upTo: 7 }, { upTo: '' }, { upto: id }, { upTo: id, user: 'bob' }, []])
    t.match(await call(host, 'POST', '/me/read?user=alice', body), invalid, JSON.stringify(body))
  for (const upTo of ['what?', `zzz.${'a'.repeat(14)}`])
    t.match(await call(host, 'POST', '/me/read?user=alice', { upTo }), unknown, upTo)
  t.match(await call(host, 'POST', '/me/read', { upTo: id }), { status: 401, code: 'SSE_HUB_ERR_UNAUTHENTICATED' })
  t.match(await call(host, 'GET', '/me/inbox'), { status: 401 })
  for (const path of ['/me/inbox?user=alice', '/users/alice/inbox?']) {
    t.match(await call(host, 'GET', `${path}&limit=0`), invalid)
    t.match(await call(host, 'GET', `${path}&limit=1001`), invalid)
    t.match(await call(host, 'GET', `${path}&before=what`), unknown)
    t.match(await call(host, 'GET', `${path}&before=&after=`), { status: 200 }, 'an empty cursor is no cursor')
  }
  t.match(await call(host, 'POST', '/users/alice/events', { data: 1, inbox: 'true' }), invalid)
  t.equal(await host.app.sse.unread('alice'), 1)
})
