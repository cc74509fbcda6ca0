import Fastify from 'fastify'

/** A hub over a folder: fills an inbox, and lives until it is killed. */
const [index, embedded, path] = process.argv.slice(2)
const { sseHub } = await import(index)
const { embeddedLog } = await import(embedded)
const app = Fastify()
await app.register(sseHub, { log: await embeddedLog({ path, durability: 'process' }) })
await app.ready()
const ids = []
for (let at = 0; at < 10; at++) ids.push((await app.sse.send('alice', { data: `${at}`, inbox: true })).id)
await app.sse.markRead('alice', ids[3])
await app.sse.retract(ids[7])
const { unread } = await app.sse.markRead('alice', ids[4])
process.stdout.write(`${JSON.stringify({ ids, unread })}\n`)
setInterval(() => undefined, 1_000)
