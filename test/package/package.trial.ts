import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { bin, install, packedHost, packedServer, ROOT } from '../support/packed-host.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'

const run = promisify(execFile)
const { host, tarball, fastify } = await packedHost(t)
const server = await packedServer(t, tarball)

t.test('the package runs in a host that imports it', async (t) => {
  const { stdout } = await run(process.execPath, ['host.mjs'], { cwd: host })
  t.same(JSON.parse(stdout), { isSame: true, status: 202, events: 1 })
})

t.test('the package runs in a host with the first version of Fastify 5', async (t) => {
  const folder = t.testdir({ 'package.json': JSON.stringify({ name: 'host', private: true }) })
  cpSync(join(ROOT, 'test', 'package', 'fixture', 'host.mjs'), join(folder, 'host.mjs'))
  await install(folder, 'fastify@5.0.0', tarball)
  const installed = readFileSync(join(folder, 'node_modules', 'fastify', 'package.json'), 'utf8')
  t.equal(JSON.parse(installed).version, '5.0.0')
  const { stdout } = await run(process.execPath, ['host.mjs'], { cwd: folder })
  t.same(JSON.parse(stdout), { isSame: true, status: 202, events: 1 })
})

t.test('the test kit runs in vitest', async (t) => {
  const folder = t.testdir({
    'package.json': JSON.stringify({ name: 'host', private: true, type: 'module' }),
    'order.test.js': `
      import { expect, test } from 'vitest'
      import { openStream, testApp } from 'fastify-sse-hub/testing'
      test('alice learns of the order', async () => {
        const app = await testApp()
        const stream = await openStream(app, '/events?user=alice')
        await app.sse.send('alice', { event: 'order.shipped', data: { id: 42 } })
        expect((await stream.next('order.shipped')).data).toEqual({ id: 42 })
        await app.close()
      })`
  })
  await install(folder, fastify, tarball, 'vitest@3')
  const { NODE_OPTIONS: _, ...env } = process.env
  const { stdout } = await run(join(folder, 'node_modules', '.bin', 'vitest'), ['run'], { cwd: folder, env })
  t.match(stdout, /1 passed/)
})

t.test('the tarball has at most 1 MB, unpacked 3 MB', async (t) => {
  const { stdout } = await run('tar', ['-tzvf', tarball], { maxBuffer: 16 * 1_024 * 1_024 })
  const unpacked = stdout.split('\n').reduce((sum, line) => sum + Number(line.split(/\s+/)[2] ?? 0), 0)
  const packed = statSync(tarball).size
  const figures = `${(packed / 1e6).toFixed(2)} MB, unpacked ${(unpacked / 1e6).toFixed(2)} MB`
  t.comment(figures)
  t.ok(packed <= 1e6 && unpacked <= 3e6, figures)
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

t.test('the package of the server starts with one command, serves its page and keeps history', async (t) => {
  const folder = t.testdir()
  const hub = start(t, folder)
  const [line] = (await once(createInterface(hub.stdout), 'line')) as [string]
  const page = await fetch(/http:\S+/.exec(line)?.[0] as string)
  t.equal(page.status, 200)
  t.match(page.headers.get('content-type'), 'text/html')
  hub.kill('SIGTERM')
  t.same(await once(hub, 'exit'), [0, null])
  t.ok(existsSync(join(folder, 'fastify-sse-hub-data', 'event-log.json')))
})

t.test('the program of the library names the command that runs the server', async (t) => {
  const hub = start(t, t.testdir(), {}, join(host, 'node_modules', '.bin', 'fastify-sse-hub'))
  const [stderr, [code]] = await Promise.all([text(hub.stderr), once(hub, 'exit')])
  t.equal(code, 1)
  t.match(
    stderr,
    /^fastify-sse-hub: the server needs \S+, which the library does not install. Run: npx fastify-sse-hub-server\n$/
  )
})

t.test('the package of the server asks for what the library was tested with', async (t) => {
  const read = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
  const library = read('package.json')
  const { version, engines, dependencies } = read('server-package/package.json')
  // Fastify's own light-my-request 6.8 needs Node 22.
  const { 'fastify-sse-hub': own, 'light-my-request': _, ...others } = dependencies
  t.same({ version, engines, own }, { version: library.version, engines: library.engines, own: library.version })
  for (const [name, range] of Object.entries(others)) t.equal(range, library.devDependencies[name], name)
  // The bindings of the browser client run in pages, not in the server.
  const optional = Object.keys(library.peerDependenciesMeta).filter((name) => !['react', 'vue'].includes(name))
  t.same(Object.keys(others).sort(), [...optional, 'fastify'].sort())
})

t.test('the package of the server installs without a warning about engines', async (t) => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'server-package', 'package.json'), 'utf8'))
  const { 'fastify-sse-hub': _, ...others } = dependencies
  const cwd = t.testdir({ 'package.json': JSON.stringify({ name: 'server', private: true, dependencies: others }) })
  const { stderr } = await run('npm', ['install', '--dry-run', '--prefer-offline', '--no-audit', '--no-fund'], { cwd })
  t.notMatch(stderr, 'EBADENGINE')
})

t.test('a user of the library installs at most 12 packages and 8 MB beyond Fastify', async (t) => {
  const folder = t.testdir({ alone: { 'package.json': '{}' }, both: { 'package.json': '{}' } })
  await install(join(folder, 'alone'), fastify)
  await install(join(folder, 'both'), fastify, tarball)
  const before = installedIn(join(folder, 'alone'))
  const after = installedIn(join(folder, 'both'))
  const [packages, bytes] = [after.packages - before.packages, after.bytes - before.bytes]
  const figures = `${packages} packages, ${(bytes / 1e6).toFixed(1)} MB`
  t.comment(figures)
  t.ok(packages <= 12 && bytes <= 8e6, figures)
})

t.test('registering the plugin loads no package of the server', async (t) => {
  const script = `
    import { createRequire } from 'node:module'
    import Fastify from 'fastify'
    import sseHub, { authentication, hubRoutes } from 'fastify-sse-hub'
    const app = Fastify()
    await app.register(sseHub)
    const { authorize } = await authentication(app, { apiKeys: [] })
    await app.register(hubRoutes, { authorize })
    await app.ready()
    const { cache } = createRequire(import.meta.url)
    console.log(JSON.stringify(Object.keys(cache).filter((path) => path.includes('node_modules'))))
    await app.close()`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: server })
  const loaded = JSON.parse(stdout) as string[]
  const of = (name: string) => loaded.some((path) => path.includes(join('node_modules', name, sep)))
  t.ok(of('fastify') && of('fastify-plugin'), 'the list is of the packages that were loaded')
  for (const name of [
    '@fastify/static',
    '@fastify/swagger',
    '@fastify/cors',
    '@fastify/jwt',
    '@fastify/rate-limit',
    'cookie',
    'close-with-grace'
  ])
    t.notOk(of(name), name)
})

t.test('without its store the server starts and warns that history ends with the process', async (t) => {
  rmSync(join(server, 'node_modules', 'lmdb'), { recursive: true })
  const hub = start(t, t.testdir())
  const [[line], [warning]] = (await Promise.all([
    once(createInterface(hub.stdout), 'line'),
    once(createInterface(hub.stderr), 'line')
  ])) as [[string], [string]]
  t.match(line, /open http:/)
  t.match(warning, /^fastify-sse-hub: WARNING: history is in memory only .*npm install lmdb/)
  hub.kill('SIGTERM')
  t.same(await once(hub, 'exit'), [0, null])

  const folder = t.testdir({ empty: {}, kept: { 'fastify-sse-hub-data': { 'event-log.json': '{}' } } })
  const named = start(t, join(folder, 'empty'), { HUB_STORE: 'history' })
  const kept = start(t, join(folder, 'kept'))
  const ends = [named, kept].map((process) => Promise.all([text(process.stderr), once(process, 'exit')]))
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
  t.same([...folders].sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'package.json'])
  t.notMatch(stdout, /dist\/test\/|\.test\./)
})

/** How many packages are installed below a folder, and how many bytes their files have. */
function installedIn(folder: string): { readonly packages: number; readonly bytes: number } {
  const entries = readdirSync(join(folder, 'node_modules'), { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const isManifest = /node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/
  return {
    packages: files.filter((path) => isManifest.test(path)).length,
    bytes: files.reduce((sum, path) => sum + statSync(path).size, 0)
  }
}

/** Starts an installed program in a folder: that of the server, unless another is named. */
function start(
  t: Test,
  cwd: string,
  env: Record<string, string> = {},
  program = join(server, 'node_modules', '.bin', 'fastify-sse-hub-server')
): ChildProcessByStdio<null, Readable, Readable> {
  const { HUB_STORE: _, ...inherited } = process.env
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
