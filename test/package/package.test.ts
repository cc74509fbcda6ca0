import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')
const bin = (name: string) => join(root, 'node_modules', '.bin', name)

// Installed as a host would: the tarball, with what npm fetches for it.
const host = mkdtempSync(join(tmpdir(), 'sse-hub-host-'))
t.teardown(() => rmSync(host, { recursive: true, force: true }))

const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', host], { cwd: root })
const tarball = join(host, stdout.trim().split('\n').at(-1) as string)
cpSync(join(import.meta.dirname, 'fixture'), host, { recursive: true })
writeFileSync(join(host, 'package.json'), JSON.stringify({ name: 'host', private: true }))
await run(
  'npm',
  [
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    tarball,
    `fastify@${devDependencies.fastify}`,
    `@types/node@${devDependencies['@types/node']}`
  ],
  { cwd: host }
)

t.test('the package runs in a host that imports it', async (t) => {
  const { stdout } = await run(process.execPath, ['host.mjs'], { cwd: host })
  t.same(JSON.parse(stdout), { isSame: true, status: 202, events: 1 })
})

t.test('the package runs in a host that requires it, without a warning', async (t) => {
  const { stdout, stderr } = await run(process.execPath, ['host.cjs'], { cwd: host })
  t.same(JSON.parse(stdout), { status: 202 })
  t.equal(stderr, '')
})

t.test('hosts in TypeScript compile against its types, and mistakes do not', async (t) => {
  await t.resolves(run(bin('tsc'), ['-p', host], { cwd: host }))
})

t.test('the package starts as a program, with its demo page', async (t) => {
  const hub = spawn(join(host, 'node_modules', '.bin', 'fastify-sse-hub'), {
    cwd: host,
    env: { ...process.env, PORT: '0', LOG_LEVEL: 'silent', HUB_STORE: 'memory' }
  })
  t.teardown(() => hub.kill('SIGKILL'))
  const [line] = (await once(createInterface(hub.stdout), 'line')) as [string]
  const url = /http:\S+/.exec(line)?.[0] as string
  const page = await fetch(url)
  t.equal(page.status, 200)
  t.match(page.headers.get('content-type'), 'text/html')
  hub.kill('SIGTERM')
  const [code] = await once(hub, 'exit')
  t.equal(code, 0)
})

t.test('without the package of the store the program says what to install, and the way without', async (t) => {
  const starting = run(join(host, 'node_modules', '.bin', 'fastify-sse-hub'), [], {
    cwd: host,
    env: { ...process.env, PORT: '0', LOG_LEVEL: 'silent', HUB_STORE: join(host, 'history') },
    // Where lmdb lies in a folder above, it starts, and would run for ever.
    timeout: 60_000
  })
  const { code, stderr } = await starting.then(
    () => t.fail('it started'),
    (error) => error
  )
  t.equal(code, 1)
  t.match(stderr, /^fastify-sse-hub: HUB_STORE .*npm install lmdb, or set HUB_STORE=memory/)
  t.equal(stderr.trim().split('\n').length, 1, 'no stack')
})

t.test('the event log in Redis says what it lacks where its client is not installed', async (t) => {
  const ask = `import('fastify-sse-hub/redis').then(({ redisLog }) => redisLog({ url: 'redis://127.0.0.1' }))
    .catch(({ code, message }) => console.log(JSON.stringify({ code, message })))`
  const { stdout } = await run(process.execPath, ['-e', ask], { cwd: host })
  t.match(JSON.parse(stdout), { code: 'SSE_HUB_ERR_INVALID_OPTION', message: /npm install redis/ })
})

t.test('its metadata is right for every resolver', async (t) => {
  await t.resolves(run(bin('publint'), ['--strict', tarball]))
  await t.resolves(run(bin('attw'), [tarball, '--profile', 'esm-only']))
})

t.test('it holds what it needs and nothing else', async (t) => {
  const { stdout } = await run('tar', ['-tzf', tarball])
  const folders = new Set(
    stdout
      .trim()
      .split('\n')
      .map((path) => path.split('/').slice(1, 2).join('/'))
  )
  t.same([...folders].sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'package.json', 'public'])
  t.notMatch(stdout, /dist\/test|\.test\./)
})
