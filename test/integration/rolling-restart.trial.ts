import t from 'tap'
import { effort } from '../support/effort.ts'
import { freePort } from '../support/free-port.ts'
import { startNginx, withoutNginx } from '../support/nginx.ts'
import { NodeProcess } from '../support/node-process.ts'
import { RedisServer } from '../support/redis-server.ts'
import { SteadyLoad } from '../support/steady-load.ts'

/** How often a node is stopped and started again, one after the other. */
const RESTARTS = Number(process.env.ROLLING_RESTARTS ?? effort(2, 8))
/** How many users have a publisher of their own and a client of each kind. */
const USERS = Number(process.env.ROLLING_USERS ?? 4)
/** The answer of nginx when no node is up. */
const CLOSE_FOR_NOW = '{"reason":"error","reconnect":true}'

t.setTimeout(120_000 + RESTARTS * 20_000)

function portOf({ url }: NodeProcess): number {
  return Number(new URL(url).port)
}

t.test(
  'nodes are restarted one after the other under load, and no client notices',
  { skip: withoutNginx },
  async (t) => {
    t.comment(`ROLLING_RESTARTS=${RESTARTS} ROLLING_USERS=${USERS}`)
    const redis = await RedisServer.start()
    t.teardown(() => redis.stop())
    const start = (port: number) =>
      NodeProcess.start(t, { url: redis.url, prefix: 'rolling', lease: 2_000, reconnectionTime: 100, port })
    const nodes = await Promise.all([await freePort(), await freePort()].map(start))
    const url = await startNginx(t, nodes)

    const load = await SteadyLoad.start(t, url, USERS)
    const { clients } = load

    for (let restart = 0; restart < RESTARTS; restart++) {
      await load.goOn()
      const at = restart % nodes.length
      const node = nodes[at] as NodeProcess
      t.equal(await node.end('SIGTERM'), 0, `restart ${restart + 1}: it stopped in order`)
      await load.goOn()
      nodes[at] = await start(portOf(node))
    }
    await load.goOn()
    // And all of them at once: the proxy's own answer closes no client for good.
    const closedForNow = () =>
      clients.filter(({ client }) => client.of('hub.close').some((data) => data === CLOSE_FOR_NOW)).length
    t.equal(closedForNow(), 0, 'while a node is up, the proxy closes no stream')
    await Promise.all(nodes.map((node) => node.end('SIGTERM')))
    for (const { client } of clients) {
      await client.until(() => client.isOver || client.of('hub.close').includes(CLOSE_FOR_NOW), 'to be closed for now')
    }
    await Promise.all(nodes.map((node) => start(portOf(node))))
    await load.goOn()
    await load.stop()

    const total = await load.check(t)
    const welcomes = clients.reduce((sum, { client }) => sum + client.of('hub.welcome').length, 0)
    t.ok(welcomes - clients.length >= clients.length, 'and they were cut and reconnected')
    t.comment(
      `${total} events, ${load.retries} retries, ${welcomes - clients.length} returns of ${clients.length} clients`
    )
  }
)
