import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { runCommand } from '../../standalone/cli/run-command.ts'
import { readEnvironment } from '../../standalone/environment.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { SETTINGS } from '../../standalone/setting-list.ts'
import type { Variables } from '../../standalone/values.ts'
import { NODE_COMMAND } from '../support/node-command.ts'
import { ServerProcess } from '../support/server-process.ts'
import { allSnippets } from '../support/snippets.ts'
import { SECRET, tokenOf } from '../support/tokens.ts'

t.setTimeout(120_000)

const KEY = 'k'.repeat(43)

interface Run {
  readonly lines: string[]
  readonly complaints: string[]
  readonly stop: () => void
  /** Resolves when so many lines have been printed. */
  readonly printed: (count: number) => Promise<void>
  readonly code: Promise<number | undefined>
  readonly served: Variables[]
}

/** Runs a command line in this process. */
function start(args: readonly string[], { env = {}, input = '' }: { env?: Variables; input?: string } = {}): Run {
  const lines: string[] = []
  const complaints: string[] = []
  const served: Variables[] = []
  const stop = new AbortController()
  let onLine = () => {}
  const code = runCommand(
    args,
    {
      env,
      print: (line) => {
        lines.push(line)
        onLine()
      },
      complain: (line) => complaints.push(line),
      readInput: async () => input,
      isTerminal: false,
      signal: stop.signal
    },
    async (given) => void served.push(given)
  )
  const printed = async (count: number) => {
    while (lines.length < count) await new Promise<void>((resolve) => (onLine = resolve))
  }
  return { lines, complaints, served, stop: () => stop.abort(), printed, code }
}

async function run(args: readonly string[], options: { env?: Variables; input?: string } = {}) {
  const { code, lines, complaints, served } = start(args, options)
  return { code: await code, lines, complaints, served }
}

async function build(t: Test, options: HubAppOptions = {}): Promise<{ app: FastifyInstance; url: string }> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(hubApp, options)
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

const lockedHub = (t: Test) =>
  build(t, {
    authentication: { apiKeys: readApiKeys(`all:${KEY}:publish,read,ticket`), subscribers: { keys: [SECRET] } }
  })

t.test('every setting is an option of the same name, and is in the help', async (t) => {
  const { lines, code } = await run(['--help'])
  t.equal(code, 0)
  for (const { name, isSecret } of SETTINGS) {
    const option = `--${name.replace('HUB_', '').toLowerCase().replaceAll('_', '-')}`
    t.match(lines.join('\n'), new RegExp(`^ +${option} `, 'm'), option)
    for (const given of [option, `--${name.toLowerCase().replaceAll('_', '-')}`]) {
      const { served } = await run([given, 'value'])
      t.equal(served[0]?.[name], 'value', given)
    }
    if (isSecret) t.equal((await run([`${option}-file`, 'path'])).served[0]?.[`${name}_FILE`], 'path')
  }
  const { served } = await run(['--port', '4000', '--max-streams=5'], { env: { PORT: '3000', HUB_RETRY: '1' } })
  t.match(readEnvironment(served[0] as Variables), { port: 4000, maxStreams: 5, reconnectionTime: 1 })
})

t.test('the settings in force are printed without secrets, and checked without serving', async (t) => {
  const env = { HUB_API_KEYS: `backend:${KEY}:publish`, HUB_STORE: 'memory' }
  const { lines, code, served } = await run(['--print-config', '--max-streams', '9'], { env })
  t.match(JSON.parse(lines.join('\n')), { maxStreams: 9, store: 'memory', authentication: { apiKeys: [/^backend/] } })
  t.notMatch(lines.join('\n'), KEY)
  t.same([code, served.length], [0, 0])
  t.equal((await run(['check'], { env })).code, 0)
  const wrong = await run(['check', '--port', 'x'], { env })
  t.equal(wrong.code, 1)
  t.match(wrong.complaints[0], /^PORT is a whole number/)
  t.match((await run(['check', '--tls-cert', '/none', '--tls-key', '/none'])).complaints[0], /^HUB_TLS_CERT/)
})

t.test('a wrong call is exit code 2 with the reason', async (t) => {
  for (const [args, complaint] of [
    [['nonsense'], /no command "nonsense"/],
    [['--nonsense'], /--nonsense/],
    [['--port', '1', '--port=2', '--hub-port', '3'], /--hub-port/],
    [['--max-streams', '1', '--hub-max-streams', '2'], /given twice/],
    [['publish'], /name the data/],
    [['publish', 'x'], /--user, --topic or --everyone/],
    [['publish', 'x', 'y', '--everyone'], /one argument/],
    [['publish', 'x', '--everyone', '--ttl', 'long'], /--ttl is a whole number/],
    [['history'], /name one of/],
    [['tail', '--user', 'a', '--everyone'], /name one of/],
    [['listen', '--token', 'a', '--ticket', 'b'], /exclude each other/],
    [['top', '--url', 'ftp://hub'], /--url is an http/],
    [['key', 'destroy'], /key create/],
    [['key', 'create', '--scopes', 'everything'], /has scopes of these/],
    [['check', '--help-me'], /--help-me/]
  ] as const) {
    const { code, complaints, served } = await run(args)
    t.equal(code, 2, args.join(' '))
    t.match(complaints[0], complaint)
    t.equal(served.length, 0)
  }
})

t.test('a key is made with an entry for the hub that does not contain it', async (t) => {
  const { lines } = await run(['key', 'create', '--id', 'reports', '--scopes', 'read,user:*', '--json'])
  const { key, entry } = JSON.parse(lines[0] as string)
  t.notMatch(entry, key)
  t.same(readApiKeys(entry), readApiKeys(`reports:${key}:read,user:*`))
  const shown = await run(['key', 'create'])
  t.match(shown.lines, [/^[\w-]{43}$/])
  t.match(shown.complaints[0], /backend:sha256-/)
})

t.test('events are published, listened to, and read from history', async (t) => {
  const { app, url } = await build(t)
  const listening = start(['listen', '--url', url, '--user', 'alice', '--topic', 'news', '--own', '--json'])
  await listening.printed(1)
  t.match(JSON.parse(listening.lines[0] as string), { event: 'hub.welcome' })
  const env = { SSE_HUB_URL: `${url}/` }
  const sent = await run(['publish', '{"order": 7}', '--user', 'alice', '--event', 'order.shipped', '--json'], { env })
  const receipt = JSON.parse(sent.lines[0] as string)
  t.match({ ...receipt, code: sent.code }, { id: String, streams: 1, code: 0 })
  t.match(await run(['publish', '-', '--topic', 'news'], { env, input: 'two\nlines' }), {
    code: 0,
    lines: [/ to 1 streams$/]
  })
  await listening.printed(3)
  t.same(JSON.parse(listening.lines[1] as string), { id: receipt.id, event: 'order.shipped', data: '{"order": 7}' })
  t.match(JSON.parse(listening.lines[2] as string), { event: 'message', data: 'two\nlines' })
  listening.stop()
  t.equal(await listening.code, 0)

  t.same(await run(['history', '--user', 'alice', ...['--url', url]]), {
    ...{ code: 0, lines: ['order.shipped\t{"order": 7}'], complaints: [], served: [] }
  })
  await app.sse.send('alice', { data: 'more' })
  const page = await run(['history', '--user', 'alice', '--limit', '1', '--json'], { env })
  t.equal(page.lines.length, 1)
  t.match(page.complaints[0], /continue with --after/)
  const resumed = await run(['listen', '--user', 'alice', '--last-event-id', receipt.id, '--count', '1'], { env })
  t.same([resumed.code, resumed.lines], [0, ['message\tmore']])
})

t.test('a task that is followed ends the command with its end', async (t) => {
  const { app, url } = await build(t)
  await app.sse.publish('task/1', { event: 'progress', data: '1' })
  await app.sse.publish('task/1', { event: 'done', data: 'ok', final: true })
  const { code, lines } = await run(['listen', '--url', url, '--user', 'alice', '--follow', 'task/1'])
  t.same([code, lines], [0, ['progress\t1', 'done\tok']])
})

t.test('a locked hub is called with a key, a token or a ticket', async (t) => {
  const { app, url } = await lockedHub(t)
  const env = { SSE_HUB_URL: url, SSE_HUB_KEY: KEY }
  t.match(await run(['publish', 'x', '--everyone', '--url', url]), {
    code: 1,
    complaints: [/^401 SSE_HUB_ERR_NO_CREDENTIALS/]
  })
  const issued = await run(['ticket', '--user', 'alice', '--topic', 'news', '--ttl', '60000'], { env })
  t.match(issued, { code: 0, lines: [/^[\w-]{43}$/] })
  await app.sse.send('alice', { data: 'kept' })
  const last = ['--last', '1', '--count', '1']
  t.match(await run(['listen', '--ticket', issued.lines[0] as string, ...last], { env }), {
    code: 0,
    lines: ['message\tkept']
  })
  t.match(await run(['listen', '--token', tokenOf('alice'), ...last], { env }), { code: 0, lines: ['message\tkept'] })
  t.match(await run(['listen', '--token', 'wrong', ...last], { env }), {
    code: 1,
    complaints: [/SSE_HUB_ERR_UNAUTHENTICATED/]
  })

  const tailing = start(['tail', '--topic', 'news', '--count', '2'], { env })
  while ((await app.sse.history({ topic: 'news' })).events.length < 40 && tailing.lines.length < 2) {
    await app.sse.publish('news', { data: 'again' })
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  t.equal(await tailing.code, 0)
  t.same(tailing.lines, ['message\tagain', 'message\tagain'])
})

t.test('top shows the counts again and again, also as JSON', async (t) => {
  const { app, url } = await build(t)
  await app.sse.broadcast({ data: 1 })
  const shown = await run(['top', '--url', url, '--count', '2', '--interval', '100'])
  t.equal(shown.code, 0)
  t.equal(shown.lines.length, 2)
  t.match(shown.lines[0], /streams +0 here, 0 in all\n.*log +memory, 1 events/s)
  const json = await run(['top', '--url', url, '--count', '1', '--json'])
  t.match(JSON.parse(json.lines[0] as string), { streams: 0, published: 1, rates: { published: 0 } })
  t.match(await run(['top', '--url', 'http://127.0.0.1:1', '--count', '1']), {
    code: 1,
    complaints: [/cannot be reached/]
  })
})

t.test('the commands of the documentation run as they stand', async (t) => {
  const { url } = await build(t)
  const commands = allSnippets()
    .filter(({ language, where }) => language === 'sh' && where.startsWith('docs/operations.md'))
    .flatMap(({ code }) => code.split('\n').filter((line) => line.startsWith('npx fastify-sse-hub ')))
  t.ok(commands.length >= 7)
  for (const command of commands) {
    const { stdout } = spawnSync('bash', ['-c', command.replace('npx fastify-sse-hub', "printf '%s\\0'")], {
      encoding: 'utf8'
    })
    const { code, lines, complaints } = await run(stdout.split('\0').slice(0, -1), { env: { SSE_HUB_URL: url } })
    t.equal(code, 0, `${command}: ${complaints}`)
    t.ok(lines.length > 0, command)
  }
})

t.test('the program serves with options, and ends with the exit code of a command', async (t) => {
  const command = [...NODE_COMMAND, 'standalone/command.ts']
  const server = new ServerProcess(t, {}, [...command, '--store', 'memory', '--log-level', 'silent'])
  const url = await server.url()
  const [file = '', ...args] = [...command, 'publish', 'x', '--everyone', '--json', '--url', url]
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  t.match(JSON.parse(printed), { id: String, streams: 0 })
  t.equal(code, 0)
  t.equal(await server.stop('SIGTERM'), 0)
})
