import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { readEnvironment } from '../../standalone/environment.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { ROOT } from '../support/packed-host.ts'
import { without } from '../support/programs.ts'
import { selfSigned } from '../support/self-signed.ts'
import { allSnippets, documents } from '../support/snippets.ts'

const KEY = 'k'.repeat(43)
const snippets = allSnippets()
const ofLanguage = (language: string) => snippets.filter((snippet) => snippet.language === language)
/** The commands of the examples, each with its continuation lines, without comments. */
const commands = ofLanguage('sh').flatMap(({ where, code }) =>
  code
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((command) => ({ where, command }))
)
const withoutCurl = without('curl')

t.test('every example has a language that is tested, or that is not code', async (t) => {
  const known = [
    'sh',
    'ts',
    'js',
    'mjs',
    'nginx',
    'haproxy',
    'caddyfile',
    'apache',
    'yaml',
    'http',
    'python',
    'json',
    'java',
    'go',
    'rust'
  ]
  t.same(
    snippets.filter(({ language }) => !known.includes(language)),
    []
  )
})

t.test('every command exists in the shell, and every npm script in the package', async (t) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  for (const { where, command } of commands) {
    const { status, stderr } = spawnSync('bash', ['-n', '-c', command], { encoding: 'utf8' })
    t.same({ status, stderr }, { status: 0, stderr: '' }, where)
    for (const [, script = ''] of command.matchAll(/npm run ([\w:]+)/g)) t.ok(script in scripts, `${where}: ${script}`)
  }
})

t.test('every setting in the documentation exists', async (t) => {
  const names = documents().flatMap(({ text }) => text.match(/\bHUB_[A-Z_]*[A-Z]\b/g) ?? [])
  t.ok(names.length > 10)
  for (const name of new Set(names)) {
    let complaint = ''
    try {
      readEnvironment({ [name]: '1' })
    } catch (error) {
      complaint = (error as Error).message
    }
    t.notMatch(complaint, 'is not a setting', name)
  }
})

t.test('the keys of the examples are valid', async (t) => {
  const { command } = commands.find(({ command }) => command.startsWith('HUB_API_KEYS=')) ?? { command: '' }
  const { stdout } = spawnSync('bash', ['-c', `${command}\nprintf %s "$HUB_API_KEYS"`], { encoding: 'utf8' })
  t.same(
    readApiKeys(stdout).map(({ id }) => id),
    ['backend', 'reports']
  )
  const hashing = commands.find(({ command }) => command.includes('sha256sum'))?.command ?? ''
  const hash = spawnSync('bash', ['-c', hashing], { encoding: 'utf8', env: { ...process.env, KEY } }).stdout.split(
    ' '
  )[0]
  t.same(readApiKeys(`backend:sha256-${hash}:publish`)[0]?.hash, readApiKeys(`backend:${KEY}:publish`)[0]?.hash)
})

t.test('the curl commands of the README deliver an event', { skip: withoutCurl }, async (t) => {
  const env = await curlTo(t, { isLocked: false })
  const [listen, publish] = commands.filter(
    ({ where, command }) => where.startsWith('README') && command.startsWith('curl')
  )
  const listening = spawn('bash', ['-c', `exec ${listen?.command}`], { env, stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => listening.kill())
  // Read from the start, so that no line is lost while the event is published.
  const lines = createInterface(listening.stdout)[Symbol.asyncIterator]()
  await lines.next()
  const { stdout } = spawnedIn(env, publish?.command)
  t.match(JSON.parse(await stdout), { id: String, streams: 1 })
  let line = ''
  while (!line.startsWith('data: {"hello"')) line = (await lines.next()).value
  t.equal(line, 'data: {"hello":"alice"}')
})

t.test('the commands of the page that starts replay exactly the missed event', { skip: withoutCurl }, async (t) => {
  const env = await curlTo(t, { isLocked: false })
  const shown = commands.filter(({ where, command }) => where.startsWith('docs/start.md') && command.startsWith('curl'))
  const [first, read, second, back] = shown.map(({ command }) => command)
  t.match(JSON.parse(await spawnedIn(env, first).stdout), { id: String, streams: 0 })
  const idsOf = async (command: string | undefined, ID = '') => {
    const child = spawn('bash', ['-c', `exec ${command}`], { env: { ...env, ID }, stdio: ['ignore', 'pipe', 'ignore'] })
    t.teardown(() => child.kill())
    const read = []
    // The order, then its id.
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith('data: {"id":')) read.push(line)
      if (read.length > 0 && line.startsWith('id: ')) return { read, id: line.slice('id: '.length) }
    }
    return { read, id: '' }
  }
  const before = await idsOf(read)
  t.same(before.read, ['data: {"id":1}'])
  await spawnedIn(env, second).stdout
  t.same((await idsOf(back, before.id)).read, ['data: {"id":2}'])
})

t.test('the curl commands of the page on security get the documented answers', { skip: withoutCurl }, async (t) => {
  const env = { ...(await curlTo(t, { isLocked: true })), KEY }
  const shown = commands.filter(({ where, command }) => where.includes('security') && command.startsWith('curl'))
  t.equal(shown.length, 2)
  const [published = '', ticket = ''] = await Promise.all(shown.map(({ command }) => spawnedIn(env, command).stdout))
  t.match(JSON.parse(published), { id: String, streams: 0 })
  t.match(JSON.parse(ticket), { ticket: /^[\w-]{43}$/, expiresAt: String })
})

t.test('nginx accepts its configuration', { skip: without('nginx', { version: '-v' }) }, async (t) => {
  const examples = ofLanguage('nginx')
  t.ok(examples.length > 0)
  for (const { where, code } of examples) {
    const folder = t.testdir({ logs: {} })
    const path = join(folder, 'nginx.conf')
    writeFileSync(path, `pid ${folder}/pid;\nevents {}\nhttp {\nserver {\nlisten 127.0.0.1:1;\n${code}}\n}\n`)
    const { status, stderr } = spawnSync('nginx', ['-t', '-p', folder, '-c', path, '-e', 'stderr'], {
      encoding: 'utf8'
    })
    t.equal(status, 0, `${where}: ${stderr}`)
  }
})

t.test('HAProxy accepts its configuration', { skip: without('haproxy', { version: '-v' }) }, async (t) => {
  const examples = ofLanguage('haproxy')
  t.ok(examples.length > 0)
  for (const { where, code } of examples) {
    const path = join(t.testdir(), 'haproxy.cfg')
    writeFileSync(
      path,
      `defaults\n  mode http\n  timeout client 60s\n  timeout connect 1s\n\nfrontend all\n  bind 127.0.0.1:1\n  default_backend hub\n\n${code}`
    )
    const { status, stdout, stderr } = spawnSync('haproxy', ['-c', '-f', path], { encoding: 'utf8' })
    t.equal(status, 0, `${where}: ${stdout}${stderr}`)
  }
})

/** Starts a hub; returns an environment in which curl reaches it at the addresses of the examples. */
async function curlTo(t: Test, { isLocked }: { isLocked: boolean }): Promise<NodeJS.ProcessEnv> {
  const authentication = isLocked ? { apiKeys: readApiKeys(`demo:${KEY}:publish,ticket`) } : undefined
  const start = async (https?: object) => {
    const app = Fastify({ forceCloseConnections: true, ...(https && { https }) } as { forceCloseConnections: true })
    t.teardown(() => app.close())
    await app.register(hubApp, { authentication })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return (app.server.address() as AddressInfo).port
  }
  const [plain, secure] = [await start(), await start(selfSigned())]
  const config = [
    `connect-to = "127.0.0.1:3000:127.0.0.1:${plain}"`,
    `connect-to = "hub.example.com:443:127.0.0.1:${secure}"`,
    ...['insecure', 'silent', 'show-error']
  ]
  return { ...process.env, CURL_HOME: t.testdir({ '.curlrc': config.join('\n') }) }
}

function spawnedIn(env: NodeJS.ProcessEnv, command = ''): { stdout: Promise<string> } {
  const child = spawn('bash', ['-c', command], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  return { stdout: child.stdout.toArray().then((chunks) => Buffer.concat(chunks).toString()) }
}
