import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'

/**
 * Runs the built client in Node, Deno and Bun, against a hub that cuts its connections: `npm run build`, then
 * `npx -p deno -p bun -- node test/client/runtimes.mjs`. It stands outside of the suite, because the two runtimes take 195 MB.
 */
const DIST = join(import.meta.dirname, '..', '..', 'dist')
const RUNTIMES = [
  ['node', []],
  ['deno', ['run', '--allow-net']],
  ['bun', ['run']]
]
const EXPECTED = ['open', 'one', 'open', 'two', 'three', 'last']
/** In milliseconds. */
const PATIENCE = 30_000

const { hubRoutes, sseHub } = await import(pathToFileURL(join(DIST, 'index.js')).href)
const app = Fastify({ forceCloseConnections: true })
await app.register(sseHub, { reconnectionTime: 50 })
await app.register(hubRoutes, { authenticate: ({ headers }) => ({ user: headers['x-user'] }) })
const url = await app.listen({ host: '127.0.0.1', port: 0 })

const folder = mkdtempSync(join(tmpdir(), 'sse-hub-runtimes-'))
const program = join(folder, 'program.mjs')
writeFileSync(
  program,
  `import { connect } from ${JSON.stringify(pathToFileURL(join(DIST, 'client.js')).href)}
const stream = connect('${url}/events', { auth: () => ({ headers: { 'x-user': 'alice' } }), random: () => 0 })
stream.on('hub.welcome', () => console.log('open'))
for await (const { text } of stream) {
  console.log(text)
  if (text === 'last') break
}
stream.close()
`
)

async function run(command, args) {
  const child = spawn(command, [...args, program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const timer = setTimeout(() => child.kill(), PATIENCE)
  const exit = once(child, 'exit')
  const lines = []
  const send = (data) => app.sse.send('alice', { data })
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    if (lines.length === 1) await send('one')
    if (line === 'one') {
      app.server.closeAllConnections()
      for (const data of ['two', 'three']) await send(data)
    }
    if (line === 'three') await send('last')
  }
  const [code] = await exit
  clearTimeout(timer)
  return { code, lines }
}

for (const [command, args] of RUNTIMES) {
  const { error, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' })
  const [version] = error ? ['is absent'] : stdout.split('\n')
  const { code, lines } = error ? { code: 1, lines: [] } : await run(command, args)
  const isRight = code === 0 && lines.join() === EXPECTED.join()
  console.log(`${command} ${version}: ${isRight ? 'each event once, after a cut, too' : `failed: ${code} ${lines}`}`)
  if (!isRight) process.exitCode = 1
}
rmSync(folder, { recursive: true })
await app.close()
