import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { hashSecret } from '../../services/access/api-keys.ts'
import { MemoryTickets } from '../../services/access/memory-tickets.ts'
import { RedisTickets } from '../../services/access/redis-tickets.ts'
import { Tickets } from '../../services/access/ticket-issuer.ts'
import { type TicketBounds, type TicketStore, weightOf } from '../../services/access/ticket-store.ts'
import { redisLink } from '../../services/event-log/redis/open-redis-log.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'

type OpenStore = (t: Test, bounds: TicketBounds) => Promise<TicketStore>

const stores: Record<string, { skip: string | false; open: OpenStore }> = {
  memory: { skip: false, open: async (_t, bounds) => new MemoryTickets(Date.now, bounds) },
  Redis: {
    skip: withoutRedis,
    async open(t, bounds) {
      const link = await redisLink({ url: server?.url as string, prefix: `t${randomBytes(4).toString('hex')}` })
      t.teardown(() => link.close())
      await link.untilUp(10_000)
      return new RedisTickets(link, bounds)
    }
  }
}

let server: RedisServer | undefined
t.before(async () => {
  if (!withoutRedis) server = await RedisServer.start()
})
t.teardown(() => server?.stop())

for (const [name, { skip, open }] of Object.entries(stores)) {
  t.test(`tickets in ${name}`, { skip }, async (t) => {
    const build = async (t: Test, bounds: TicketBounds = {}) => new Tickets({ store: await open(t, bounds) })
    const issue = async (tickets: Tickets, user: string, count: number, topics: string[] = []) => {
      const issued: string[] = []
      for (let made = 0; made < count; made++) issued.push((await tickets.issue({ user, topics })).ticket)
      return issued
    }
    const areValid = (tickets: Tickets, issued: string[]) =>
      Promise.all(issued.map(async (ticket) => (await tickets.redeem(ticket)) !== undefined))

    t.test('a ticket is redeemed as it was issued', async (t) => {
      const tickets = await build(t)
      const { ticket, expiresAt } = await tickets.issue({ user: 'é b', topics: ['news', 'o/*'], issuer: 'key' })
      t.same(await tickets.redeem(ticket), { user: 'é b', topics: ['news', 'o/*'], expiresAt, issuer: 'key' })
    })

    t.test('a ticket above the limit of a user evicts the oldest of that user', async (t) => {
      const tickets = await build(t, { maxOfUser: 2 })
      const ofBob = await issue(tickets, 'bob', 2)
      const ofAlice = await issue(tickets, 'alice', 5)
      t.same(await areValid(tickets, ofAlice), [false, false, false, true, true])
      t.same(await areValid(tickets, ofBob), [true, true])
    })

    t.test('a ticket above the total limit evicts the oldest', async (t) => {
      const tickets = await build(t, { max: 3 })
      const issued = [...(await issue(tickets, 'alice', 2)), ...(await issue(tickets, 'bob', 2))]
      t.same(await areValid(tickets, issued), [false, true, true, true])
    })

    t.test('a ticket above the limit in bytes evicts the oldest', async (t) => {
      const topics = ['x'.repeat(200)]
      const { expiresAt } = await (await build(t)).issue({ user: 'alice', topics })
      const tickets = await build(t, { bytes: 3 * weightOf(JSON.stringify({ user: 'alice', topics, expiresAt })) })
      t.same(await areValid(tickets, await issue(tickets, 'alice', 5, topics)), [false, false, true, true, true])
    })

    t.test('revoking deletes all tickets of a user, and other users keep theirs', async (t) => {
      const tickets = await build(t)
      const ofAlice = await issue(tickets, 'alice', 3)
      const ofBob = await issue(tickets, 'bob', 1)
      t.equal(await tickets.revoke('alice'), 3)
      t.equal(await tickets.revoke('alice'), 0)
      t.same(await areValid(tickets, ofAlice), [false, false, false])
      t.same(await areValid(tickets, ofBob), [true])
      t.same(await areValid(tickets, await issue(tickets, 'alice', 1)), [true])
    })

    t.test('expired tickets make room', async (t) => {
      const store = await open(t, { max: 2 })
      const tickets = new Tickets({ store })
      const { ticket: lasting } = await tickets.issue({ user: 'alice' })
      const { ticket: brief } = await tickets.issue({ user: 'bob', notAfter: Date.now() + 200 })
      // By the clock of the store, and not of this process.
      const hash = hashSecret(brief).toString('base64url')
      while (await store.get(hash)) await new Promise((resolve) => setImmediate(resolve))
      await tickets.issue({ user: 'carol' })
      t.ok(await tickets.redeem(lasting))
    })
  })
}

t.test(
  'a Redis whose eviction policy deleted an index of the tickets stays within the bound',
  { skip: withoutRedis },
  async (t) => {
    const prefix = 'evicted'
    const link = await redisLink({ url: server?.url as string, prefix })
    t.teardown(() => link.close())
    await link.untilUp(10_000)
    for (const lost of ['issued', 'bytes', 'u:alice', 'all']) {
      const tickets = new Tickets({ store: new RedisTickets(link, { max: 3, maxOfUser: 3 }) })
      for (let made = 0; made < 3; made++) await tickets.issue({ user: 'alice' })
      await link.send(['DEL', `${link.key('tickets')}:${lost}`])
      for (let made = 0; made < 6; made++) await tickets.issue({ user: `user${made}` })
      t.equal(await link.send(['ZCARD', `${link.key('tickets')}:all`]), 3, lost)
      t.equal(await link.send(['ZCARD', `${link.key('tickets')}:issued`]), 3, lost)
      const members = (await link.send(['ZRANGE', `${link.key('tickets')}:all`, '0', '-1'])) as unknown[]
      const bytes = members.reduce((sum: number, member) => sum + Number.parseInt(String(member), 10), 0)
      t.equal(Number(await link.send(['GET', `${link.key('tickets')}:bytes`])), bytes, lost)
    }
  }
)
