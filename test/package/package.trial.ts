import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { bin, packedHost, ROOT } from '../support/packed-host.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'

const run = promisify(execFile)
const { host, tarball, fastify } = await packedHost(t)

t.test('the package runs in a host that imports it', async (t) => {
  const { stdout } = await run(process.execPath, ['host.mjs'], { cwd: host })
  t.same(JSON.parse(stdout), { isSame: true, status: 202, events: 1 })
})

t.test('the package runs in a host that requires it, without a warning', async (t) => {
  const { stdout, stderr } = await run(process.execPath, ['host.cjs'], { cwd: host })
  t.same(JSON.parse(stdout), { status: 202 })
  t.equal(stderr, '')
})

for (const config of ['tsconfig.require.json', 'tsconfig.bundler.json']) {
  t.test(`hosts in TypeScript compile against its types, and mistakes do not (${config})`, async (t) => {
    await t.resolves(run(bin('tsc'), ['-p', config], { cwd: host }))
  })
}

t.test('the package starts as a program, with its demo page', async (t) => {
  const hub = start(t, host, { HUB_STORE: 'memory' })
  const [line] = (await once(createInterface(hub.stdout), 'line')) as [string]
  const url = /http:\S+/.exec(line)?.[0] as string
  const page = await fetch(url)
  t.equal(page.status, 200)
  t.match(page.headers.get('content-type'), 'text/html')
  hub.kill('SIGTERM')
  t.same(await once(hub, 'exit'), [0, null])
})

t.test(
  'without the package of the store one command still starts the hub, and says that history is in memory',
  async (t) => {
    const hub = start(t, t.testdir())
    const [[line], [warning]] = (await Promise.all([
      once(createInterface(hub.stdout), 'line'),
      once(createInterface(hub.stderr), 'line')
    ])) as [[string], [string]]
    t.match(line, /open http:/)
    t.match(warning, /^fastify-sse-hub: WARNING: history is in memory only .*npx -p fastify-sse-hub -p lmdb/)
    hub.kill('SIGTERM')
    t.same(await once(hub, 'exit'), [0, null])
  }
)

t.test('the program does not ignore existing history when the package of the store is missing', async (t) => {
  const folder = t.testdir({ empty: {}, kept: { 'fastify-sse-hub-data': { 'event-log.json': '{}' } } })
  const named = start(t, join(folder, 'empty'), { HUB_STORE: 'history' })
  const kept = start(t, join(folder, 'kept'))
  const ends = [named, kept].map((hub) => Promise.all([text(hub.stderr), once(hub, 'exit')]))
  for (const [stderr, [code]] of await Promise.all(ends)) {
    t.equal(code, 1)
    t.match(stderr, /^fastify-sse-hub: HUB_STORE .*npm install lmdb, or set HUB_STORE=memory/)
    t.equal(stderr.trim().split('\n').length, 1, 'no stack')
  }
})

t.test(
  'the package installs beside any version of its optional packages, and its dependencies support this Node',
  async (t) => {
    const dryRun = async (...packages: string[]) => {
      const cwd = t.testdir({ 'package.json': '{}' })
      const options = ['--dry-run', '--prefer-offline', '--no-audit', '--no-fund']
      const { stderr } = await run('npm', ['install', ...options, ...packages], { cwd })
      return [...stderr.matchAll(/EBADENGINE +package: '([^']+)'/g)].map(([, name]) => name)
    }
    const before = await dryRun(fastify)
    t.same(await dryRun(fastify, tarball, 'redis@4', 'lmdb@2'), before, 'no warnings but those of Fastify')
  }
)

for (const format of ['esm', 'cjs'] as const) {
  t.test(`a host that is bundled to one file (${format}) needs no other file`, { skip: withoutRedis }, async (t) => {
    const redis = await RedisServer.start()
    t.teardown(() => redis.stop())
    // In another folder, so that no file and no package near it is found.
    const outfile = join(t.testdir(), `bundle.${format === 'esm' ? 'mjs' : 'cjs'}`)
    const banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"
    await build({
      ...{
        entryPoints: [join(host, 'bundled.mjs')],
        outfile,
        bundle: true,
        platform: 'node',
        format,
        target: 'node20'
      },
      ...{ external: ['lmdb'], alias: { redis: join(ROOT, 'node_modules', 'redis') }, logLevel: 'silent' },
      ...(format === 'esm' ? { banner: { js: banner } } : {})
    })
    for (const REDIS_URL of ['', redis.url]) {
      const { stdout } = await run(process.execPath, [outfile], { env: { ...process.env, REDIS_URL } })
      t.same(JSON.parse(stdout), { status: 202, events: 1 })
    }
  })
}

t.test('the event log in Redis names the missing package where its client is not installed', async (t) => {
  const ask = `import('fastify-sse-hub/redis').then(({ redisLog }) => redisLog({ url: 'redis://127.0.0.1' }))
    .catch(({ code, message }) => console.log(JSON.stringify({ code, message })))`
  const { stdout } = await run(process.execPath, ['-e', ask], { cwd: host })
  t.match(JSON.parse(stdout), { code: 'SSE_HUB_ERR_INVALID_OPTION', message: /npm install redis/ })
})

t.test('the types of the package do not use names that older versions of TypeScript lack', async (t) => {
  const { stdout } = await run('tar', ['-xzOf', tarball, '--wildcards', '*.d.ts'], { maxBuffer: 16 * 1_024 * 1_024 })
  t.match(stdout, 'export')
  t.notMatch(stdout, /\b(Buffer|Uint8Array)</, 'generic since TypeScript 5.7')
})

t.test('the metadata of the package is valid for every resolver', async (t) => {
  await t.resolves(run(bin('publint'), ['--strict', tarball]))
  await t.resolves(run(bin('attw'), [tarball, '--profile', 'esm-only']))
})

t.test('the package has the files that it needs and no others', async (t) => {
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

/** The program of the installed package, in a folder. */
function start(t: Test, cwd: string, env: Record<string, string> = {}): ChildProcessByStdio<null, Readable, Readable> {
  const { HUB_STORE: _, ...inherited } = process.env
  const program = join(host, 'node_modules', '.bin', 'fastify-sse-hub')
  const hub = spawn(program, {
    cwd,
    env: { ...inherited, PORT: '0', LOG_LEVEL: 'silent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A hub that starts where it must not would run for ever.
    timeout: 60_000
  })
  t.teardown(() => hub.kill('SIGKILL'))
  return hub
}
