import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { hubApp } from '../../app.ts'
import { linkedHost } from '../support/linked-host.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { allSnippets, type Snippet } from '../support/snippets.ts'
import { StreamClient } from '../support/stream-client.ts'

t.setTimeout(300_000)

const snippets = allSnippets()
const inTypeScript = snippets.filter(({ language }) => language === 'ts')
const inJavaScript = snippets.filter(({ language }) => language === 'js')

const host = await linkedHost(t, join(import.meta.dirname, 'fixture'))
const pathOf = ({ where }: Snippet) => join(host, `${where.replace(/[/:.]/g, '-')}.ts`)
for (const snippet of inTypeScript) writeFileSync(pathOf(snippet), snippet.code)

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  noEmit: true,
  skipLibCheck: true
}

/** The errors of the programs' own files, each with the name of its file. */
function problemsOf(paths: readonly string[], options: ts.CompilerOptions, code?: string): string[] {
  const compilerHost = ts.createCompilerHost(options)
  const { getSourceFile } = compilerHost
  compilerHost.getSourceFile = (name, version, ...rest) => {
    const own = paths.includes(name) && code !== undefined ? ts.createSourceFile(name, code, version) : undefined
    const file = own ?? parsed.get(name) ?? getSourceFile.call(compilerHost, name, version, ...rest)
    if (file !== undefined && !paths.includes(name)) parsed.set(name, file)
    return file
  }
  const program = ts.createProgram(paths, options, compilerHost)
  return ts.getPreEmitDiagnostics(program).map(({ messageText, file, start = 0 }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1
    return `${file === undefined ? '' : basename(file.fileName)}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
}
const parsed = new Map<string, ts.SourceFile>()

t.test('every example in TypeScript compiles as it stands', async (t) => {
  t.ok(inTypeScript.length > 0)
  const options = { ...OPTIONS, types: ['node'] }
  // A file that declares events changes the types of the others, so it is a program of its own.
  const declaring = inTypeScript.filter(({ code }) => code.includes('declare '))
  const plain = inTypeScript.filter((snippet) => !declaring.includes(snippet))
  for (const program of [plain, ...declaring.map((snippet) => [snippet])])
    t.same(problemsOf(program.map(pathOf), options), [])
})

t.test('every example for pages uses only names that a browser has', async (t) => {
  t.ok(inJavaScript.length > 0)
  const options = {
    ...OPTIONS,
    allowJs: true,
    checkJs: true,
    noImplicitAny: false,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
    types: []
  }
  // A function of the page hides one of the browser with the same name.
  for (const { where, code } of inJavaScript) t.same(problemsOf([join(host, 'page.mjs')], options, code), [], where)
})

t.test('every example in TypeScript runs as it stands', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const ports = JSON.stringify({ 3000: 0, 6379: redis.port })
  const hub = Fastify({ forceCloseConnections: true })
  t.teardown(() => hub.close())
  await hub.register(hubApp)
  process.env.SSE_HUB_URL = await hub.listen({ host: '127.0.0.1', port: 0 })
  // Those of the migration guides are run by `migration.trial.ts`, each beside the code that it replaces.
  for (const snippet of inTypeScript.filter(({ where }) => !where.startsWith('docs/migration/'))) {
    const running = run(t, snippet, ports)
    const [stderr, [code]] = await Promise.all([text(running.stderr), once(running, 'exit')])
    t.same({ code, stderr }, { code: 0, stderr: '' }, snippet.where)
  }
})

t.test('the first example delivers its event to a page', async (t) => {
  const example = inTypeScript.find(({ where }) => where.startsWith('README.md')) as Snippet
  const running = run(t, example, '{"3000":0}', 'stays')
  const [line] = (await once(createInterface(running.stdout), 'line')) as [string]
  const url = `http://127.0.0.1:${line.replace('listening ', '')}`
  const page = inJavaScript.find(({ where }) => where.startsWith('README.md'))?.code ?? ''
  const path = /EventSource\('([^']+)'\)/.exec(page)?.[1]
  const client = await StreamClient.open(`${url}${path}`)
  await client.event('hub.welcome')
  await fetch(`${url}/orders/42/ship`, { method: 'POST' })
  t.same(JSON.parse((await client.event('order.shipped')).data), { id: '42' })
  client.cut()
})

/** Runs an example, which exits once its app is ready, unless `stays` is set. */
function run(t: Test, snippet: Snippet, ports: string, stays = ''): ChildProcessByStdio<null, Readable, Readable> {
  const path = pathOf(snippet).replace(/\.ts$/, '.mjs')
  // A test ends by itself, with its result.
  const end =
    stays || snippet.code.includes("from 'node:test'")
      ? ''
      : 'const { app: __app } = await import("./host.js")\nawait __app.ready()\nawait __app.close()\nprocess.exit()\n'
  const compile = (code: string) =>
    ts.transpileModule(code, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 } })
      .outputText
  writeFileSync(path, `${compile(snippet.code)}\n${end}`)
  writeFileSync(join(host, 'host.js'), compile(ts.sys.readFile(join(host, 'host.ts')) as string))
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = spawn(process.execPath, ['--import', './elsewhere.mjs', path], {
    cwd: host,
    env: { ...env, PORTS: ports },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000
  })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}
