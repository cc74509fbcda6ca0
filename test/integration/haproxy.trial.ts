import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import t, { type Test } from 'tap'
import { compiledHub } from '../support/compiled-hub.ts'
import { freePort } from '../support/free-port.ts'
import { without } from '../support/programs.ts'
import { ServerProcess } from '../support/server-process.ts'
import { StreamClient } from '../support/stream-client.ts'

const skip = without('haproxy', { version: '-v' })

/** Far longer than HAProxy needs to notice, and than any other part of this test. */
const DRAIN_DELAY = 30_000

/** A HAProxy with two servers, which logs to its standard error when one goes up or down. */
class HaProxy {
  readonly url: string
  readonly #lines: Interface
  #output = ''

  private constructor(process: ChildProcess, port: number) {
    this.url = `http://127.0.0.1:${port}`
    this.#lines = createInterface(process.stderr as NodeJS.ReadableStream)
    this.#lines.on('line', (line) => {
      this.#output += `${line}\n`
    })
  }

  /** @param check the lines of the configuration that say how servers are probed. */
  static async start(t: Test, servers: readonly string[], check: string): Promise<HaProxy> {
    const folder = mkdtempSync(join(tmpdir(), 'sse-hub-haproxy-'))
    const port = await freePort()
    const configuration = `
global
  log stderr format raw local0 notice
defaults
  mode http
  log global
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  # A connection that is refused shows as 503, and is not hidden by a second attempt.
  retries 0
frontend all
  bind 127.0.0.1:${port}
  default_backend hub
backend hub
  balance roundrobin
  ${check}
${servers.map((url, at) => `  server hub-${at + 1} ${new URL(url).host} check inter 100ms fall 2 rise 1`).join('\n')}
`
    writeFileSync(join(folder, 'haproxy.cfg'), configuration)
    const process = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], {
      stdio: ['ignore', 'ignore', 'pipe']
    })
    t.teardown(async () => {
      const gone = once(process, 'exit')
      if (process.kill('SIGKILL')) await gone
      rmSync(folder, { recursive: true, force: true })
    })
    const proxy = new HaProxy(process, port)
    const agent = new Agent()
    while ((await status(proxy.url, agent)) !== 200) {
      if (process.exitCode !== null) throw new Error(`haproxy ended: ${proxy.#output}`)
    }
    return proxy
  }

  async said(text: string): Promise<void> {
    while (!this.#output.includes(text)) await once(this.#lines, 'line')
  }

  says(text: string): boolean {
    return this.#output.includes(text)
  }
}

/** The status of a probe; 0 for a refused connection. */
async function status(url: string, agent: Agent): Promise<number> {
  const asking = request(`${url}/health/live`, { agent }).end()
  const [response] = await once(asking, 'response').catch(() => [undefined])
  response?.resume()
  return response?.statusCode ?? 0
}

/** Publishes over a new connection. */
function publish(url: string): Promise<number> {
  return fetch(`${url}/broadcast`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close', host: 'localhost' },
    body: '{"data":1}'
  }).then(({ status }) => status)
}

const folder = skip ? '' : await compiledHub()
// From here on: compiling may take its time.
t.setTimeout(120_000)

function startHub(t: Test, env: Record<string, string> = {}): ServerProcess {
  return new ServerProcess(t, env, [process.execPath, join(folder, 'server.js')])
}

for (const [name, check] of [
  ['without a path', 'option httpchk'],
  ['of readiness', 'option httpchk GET /health/ready'],
  [
    'of readiness, with a name',
    'option httpchk\n  http-check send meth GET uri /health/ready ver HTTP/1.1 hdr Host hub.example'
  ]
] as const) {
  t.test(`HAProxy finds open hubs up by a check ${name}`, { skip }, async (t) => {
    const hub = startHub(t)
    const proxy = await HaProxy.start(t, [await hub.url()], check)
    // By now a server that fails its first checks would be down.
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    const until = performance.now() + 1_000
    while (performance.now() < until) t.equal(await status(proxy.url, agent), 200)
    t.notOk(proxy.says('DOWN'))
    await hub.stop('SIGTERM')
    await proxy.said('Server hub/hub-1 is DOWN')
  })
}

t.test('HAProxy removes a stopping hub before it stops, and no call fails', { skip }, async (t) => {
  const env = { HUB_DRAIN_DELAY: `${DRAIN_DELAY}`, LOG_LEVEL: 'info' }
  const [first, second] = [startHub(t, env), startHub(t)]
  const proxy = await HaProxy.start(t, [await first.url(), await second.url()], 'option httpchk GET /health/ready')
  const clients = await Promise.all([1, 2, 3, 4].map(() => StreamClient.open(`${proxy.url}/events?user=alice`)))
  for (const client of clients) await client.event('hub.welcome')

  let isPublishing = true
  const counts: Record<number, number> = {}
  const publishing = (async () => {
    while (isPublishing) {
      const answer = await publish(proxy.url)
      counts[answer] = (counts[answer] ?? 0) + 1
    }
  })()
  let ended = 0
  const ends = clients.map((client) => client.end().then(() => ended++))
  first.child.kill('SIGTERM')
  await first.logged('not ready')
  await proxy.said('Server hub/hub-1 is DOWN')
  t.equal(first.child.exitCode, null, 'it still serves')
  t.equal(ended, 0, 'and so do its streams')
  await new Promise((resolve) => setTimeout(resolve, 600))
  t.equal(await first.stop('SIGTERM'), 0, 'another signal ends the delay')
  while (ended < 2) await new Promise((resolve) => setImmediate(resolve))
  const back = await StreamClient.open(`${proxy.url}/events?user=alice`)
  await back.event('hub.welcome')
  isPublishing = false
  await publishing
  t.same(Object.keys(counts), ['202'], JSON.stringify(counts))
  t.equal(ended, 2)
  for (const client of [...clients, back]) client.cut()
  await Promise.all(ends)
})
