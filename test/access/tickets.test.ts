import t from 'tap'
import { MemoryTickets } from '../../services/access/memory-tickets.ts'
import { Tickets } from '../../services/access/ticket-issuer.ts'
import type { TicketRecord, TicketStore } from '../../services/access/ticket-store.ts'
import { FakeClock } from '../support/fake-clock.ts'

/** Tickets, their store, and the clock of both. */
function build(options = {}) {
  const clock = new FakeClock()
  const now = () => clock.now()
  const store = new MemoryTickets(now, options)
  return { clock, store, tickets: new Tickets({ now, store }) }
}

t.test('a ticket is valid any number of times, until it expires', async (t) => {
  const { clock, tickets } = build()
  const { ticket, expiresAt } = await tickets.issue({ user: 'alice', topics: ['news', 'orders/*'], ttl: 5_000 })
  t.equal(expiresAt, clock.now() + 5_000)
  const record = { user: 'alice', topics: ['news', 'orders/*'], expiresAt }
  t.same(await tickets.redeem(ticket), record)
  clock.wall += 4_999
  t.same(await tickets.redeem(ticket), record)
  clock.wall += 1
  t.equal(await tickets.redeem(ticket), undefined)
})

t.test('a ticket is 256 random bits, and no two tickets are equal', async (t) => {
  const { tickets } = build({ maxOfUser: 1_000 })
  const made = new Set<string>()
  for (let count = 0; count < 500; count++) made.add((await tickets.issue({ user: 'alice' })).ticket)
  t.equal(made.size, 500)
  for (const ticket of made) t.equal(Buffer.from(ticket, 'base64url').length, 32)
})

t.test('a store never sees a ticket, only its hash', async (t) => {
  const seen: unknown[] = []
  const store: TicketStore = {
    async put(...all) {
      seen.push(...all)
    },
    async get(hash) {
      seen.push(hash)
      return undefined
    },
    deleteUser: async () => 0
  }
  const tickets = new Tickets({ store })
  const { ticket } = await tickets.issue({ user: 'alice' })
  t.equal(await tickets.redeem(ticket), undefined)
  t.equal(seen.length, 4)
  t.equal(seen[0], seen[3], 'the store finds it under its hash')
  t.notOk(JSON.stringify(seen).includes(ticket))
})

t.test('a text that is not a ticket is not found, and the store is not asked', async (t) => {
  let asked = 0
  const store: TicketStore = {
    put: async () => {},
    get: async () => {
      asked++
      return undefined
    },
    deleteUser: async () => 0
  }
  const tickets = new Tickets({ store })
  const wrong = [
    '',
    'x',
    'x'.repeat(42),
    'x'.repeat(44),
    `${'x'.repeat(42)}=`,
    `${'x'.repeat(42)}\n`,
    'x'.repeat(100_000)
  ]
  for (const ticket of [...wrong, undefined, null, 7, ['x'.repeat(43)], { toString: () => 'x'.repeat(43) }])
    t.equal(await tickets.redeem(ticket), undefined)
  t.equal(asked, 0)
  t.equal(await tickets.redeem('x'.repeat(43)), undefined)
  t.equal(asked, 1)
})

t.test('a ticket is not valid for longer than the credential that issued it', async (t) => {
  const { clock, tickets } = build()
  const notAfter = clock.now() + 2_000.5
  t.equal((await tickets.issue({ user: 'alice', notAfter })).expiresAt, clock.now() + 2_000)
  t.equal((await tickets.issue({ user: 'alice', ttl: 1_000, notAfter })).expiresAt, clock.now() + 1_000)
  t.equal((await tickets.issue({ user: 'alice' })).expiresAt, clock.now() + 600_000)
  await t.rejects(tickets.issue({ user: 'alice', notAfter: clock.now() }), { code: 'SSE_HUB_ERR_INVALID_TICKET' })
})

t.test('an invalid ticket request is rejected, naming the mistake', async (t) => {
  const { store, tickets } = build()
  const wrong: [object, string, RegExp][] = [
    [{}, 'SSE_HUB_ERR_INVALID_USER', /string/],
    [{ user: 7 }, 'SSE_HUB_ERR_INVALID_USER', /number/],
    [{ user: 'a\n' }, 'SSE_HUB_ERR_INVALID_USER', /control/],
    [{ user: 'a', ttl: 999 }, 'SSE_HUB_ERR_INVALID_TICKET', /ttl .* 999/],
    [{ user: 'a', ttl: 86_400_001 }, 'SSE_HUB_ERR_INVALID_TICKET', /ttl/],
    [{ user: 'a', ttl: 1_000.5 }, 'SSE_HUB_ERR_INVALID_TICKET', /ttl/],
    [{ user: 'a', ttl: '5000' }, 'SSE_HUB_ERR_INVALID_TICKET', /ttl .* a string of 4/],
    [{ user: 'a', topics: 'news' }, 'SSE_HUB_ERR_INVALID_TICKET', /topics/],
    [{ user: 'a', topics: [''] }, 'SSE_HUB_ERR_INVALID_TICKET', /topics/],
    [{ user: 'a', topics: ['x'.repeat(258)] }, 'SSE_HUB_ERR_INVALID_TICKET', /topics/],
    [
      { user: 'a', topics: Array.from({ length: 101 }, () => 'x') },
      'SSE_HUB_ERR_INVALID_TICKET',
      /topics .* 101 entries/
    ],
    [
      { user: 'a', topics: Array(17).fill('x'.repeat(250)) },
      'SSE_HUB_ERR_INVALID_TICKET',
      /4096 bytes in all; got 4250/
    ]
  ]
  for (const [ticketRequest, code, message] of wrong)
    await t.rejects(
      tickets.issue(ticketRequest as never),
      { code, statusCode: 400, message },
      JSON.stringify(ticketRequest).slice(0, 60)
    )
  t.equal(store.size, 0)
})

t.test('a failing store differs from a store without the ticket', async (t) => {
  const failure = new Error('away')
  const fail = () => Promise.reject(failure)
  const store: TicketStore = { put: fail, get: fail, deleteUser: fail }
  const tickets = new Tickets({ store })
  await t.rejects(tickets.issue({ user: 'alice' }), {
    code: 'SSE_HUB_ERR_TICKETS_UNAVAILABLE',
    statusCode: 503,
    cause: failure
  })
  await t.rejects(tickets.redeem('x'.repeat(43)), failure)
  await t.rejects(tickets.revoke('alice'), { code: 'SSE_HUB_ERR_TICKETS_UNAVAILABLE', cause: failure })
})

t.test('a user with too many tickets evicts the oldest of that user, and no other', async (t) => {
  const { store, tickets } = build({ maxOfUser: 3 })
  const { ticket: ofBob } = await tickets.issue({ user: 'bob' })
  const made: string[] = []
  for (let count = 0; count < 10; count++) made.push((await tickets.issue({ user: 'alice' })).ticket)
  t.equal(store.size, 4)
  t.ok(await tickets.redeem(ofBob))
  const good = await Promise.all(made.map((ticket) => tickets.redeem(ticket)))
  t.same(
    good.map((record: TicketRecord | undefined) => record?.user),
    [...Array(7).fill(undefined), ...Array(3).fill('alice')]
  )
})

t.test('the number of tickets is bounded, and expired tickets make room', async (t) => {
  const { clock, store, tickets } = build({ max: 100 })
  for (let count = 0; count < 150; count++) await tickets.issue({ user: `${count}`, ttl: 1_000 })
  t.equal(store.size, 100)
  clock.wall += 1_000
  const { ticket } = await tickets.issue({ user: 'alice' })
  t.equal(store.size, 1)
  t.ok(await tickets.redeem(ticket))
  for (let round = 0; round < 5; round++) {
    for (let count = 0; count < 60; count++) await tickets.issue({ user: `user ${count % 7}`, ttl: 1_000 + count })
    clock.wall += 1_020
  }
  t.ok(store.size <= 100)
  t.ok(await tickets.redeem(ticket))
})
