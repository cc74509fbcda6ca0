import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type SseHubOptions, sseHub } from '../../plugins/sse-hub.ts'
import { selfSigned } from '../support/self-signed.ts'
import { StreamClient } from '../support/stream-client.ts'

/** The network between the hub and the client, of the range that RFC 2544 reserves for tests of networks. */
const [HUB, CLIENT] = [1, 2].map((host) => `198.18.${process.pid % 256}.${host}`)
/** Bytes of the hub still arrive, and so does the end of the connection: the process goes on all the same. */
const STAYS = "process.on('uncaughtException', () => {}); setInterval(() => {}, 1e6); "
const CLIENTS = {
  'HTTP/1.1': `http.get(process.argv[1]).on('response', (response) => response.on('data', (data) => process.stdout.write(data)))`,
  'HTTP/2': `const { origin, pathname, search } = new URL(process.argv[1])
    const request = http2.connect(origin, { rejectUnauthorized: false }).request({ ':path': pathname + search })
    request.on('data', (data) => process.stdout.write(data))`
}

t.setTimeout(90_000)

/** A second host: a network namespace, joined to this one by a cable. */
function host(t: Test, name: string) {
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' })
  ip('netns', 'add', name)
  t.teardown(() => ip('netns', 'del', name))
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'cable', 'netns', name)
  // The namespace lives as long as its last process, and the cable with it.
  t.teardown(() => ip('link', 'del', name))
  ip('addr', 'add', `${HUB}/30`, 'dev', name)
  ip('link', 'set', name, 'up')
  const there = (...args: string[]) => ip('netns', 'exec', name, 'ip', ...args)
  there('addr', 'add', `${CLIENT}/30`, 'dev', 'cable')
  there('link', 'set', 'cable', 'up')
  return { there }
}

async function startHub(t: Test, app: FastifyInstance, options: SseHubOptions): Promise<number> {
  t.teardown(() => app.close())
  await app.register(sseHub, options)
  app.get('/events', (request, reply) =>
    app.sse.connect(request, reply, { user: (request.query as { user: string }).user })
  )
  await app.listen({ host: '0.0.0.0', port: 0 })
  return (app.server.address() as AddressInfo).port
}

const skip =
  process.platform !== 'linux' || process.getuid?.() !== 0 || spawnSync('ip', ['netns', 'list']).status !== 0
    ? 'needs Linux, root, and ip of iproute2'
    : false

for (const [protocol, program] of Object.entries(CLIENTS)) {
  t.test(`a client behind a pulled cable is offline within a bound, over ${protocol}`, { skip }, async (t) => {
    const isPlain = protocol === 'HTTP/1.1'
    const app = (isPlain ? Fastify() : Fastify({ http2: true, https: selfSigned() })) as FastifyInstance
    const port = await startHub(t, app, { heartbeatInterval: 1_000, stallTimeout: 3_000, presenceGrace: 500 })
    // Names of interfaces have at most 15 characters.
    const name = `${isPlain ? 'http1' : 'http2'}-${process.pid}`
    const { there } = host(t, name)

    const url = `${isPlain ? 'http' : 'https'}://${HUB}:${port}/events?user=alice`
    const client = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', STAYS + program, url])
    t.teardown(() => client.kill('SIGKILL'))
    const [welcome] = await once(client.stdout, 'data')
    t.match(String(welcome), 'hub.welcome')
    const innocent = isPlain ? await StreamClient.open(`http://127.0.0.1:${port}/events?user=bob`) : undefined
    await innocent?.event('hub.welcome')

    const closed = new Promise((resolve) => app.sse.on('close', (stream, reason) => resolve([stream.user, reason])))
    const offline = new Promise((resolve) => app.sse.on('offline', ({ user }) => resolve(user)))
    // The host at the other end can send nothing any more: no acknowledgement, and no end of the connection.
    there('route', 'add', 'blackhole', `${HUB}/32`)
    t.same(await closed, ['alice', 'client'])
    t.equal(await offline, 'alice')
    t.equal(client.exitCode, null, 'the client itself has not ended')
    t.equal(innocent?.isEnded ?? false, false)
    innocent?.cut()
  })
}
