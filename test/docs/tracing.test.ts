import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { NODE_COMMAND } from '../support/node-command.ts'
import { ROOT } from '../support/packed-host.ts'
import { publish, ServerProcess } from '../support/server-process.ts'
import { allSnippets, type Snippet } from '../support/snippets.ts'

const snippets = allSnippets().filter(({ where }) => where.startsWith('docs/tracing.md'))

interface Exported {
  readonly resourceSpans: {
    readonly resource: { readonly attributes: { key: string; value: { stringValue?: string } }[] }
    readonly scopeSpans: { readonly spans: { name: string; parentSpanId?: string; links?: unknown[] }[] }[]
  }[]
}

/** A collector of OTLP over HTTP. */
async function collector(t: Test) {
  const received: Exported[] = []
  const server = createServer((request, response) => {
    json(request).then((body) => {
      received.push(body as Exported)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

/** The set-up of the documentation in a file, for `NODE_OPTIONS`. */
function telemetry(t: Test): string {
  mkdirSync(join(ROOT, '.tap'), { recursive: true })
  // Within the package, so that its own packages are found.
  const folder = mkdtempSync(join(ROOT, '.tap', 'telemetry-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const { code } = snippets.find(({ code }) => code.includes('OTLPTraceExporter')) as Snippet
  const path = join(folder, 'telemetry.mjs')
  writeFileSync(path, code)
  return `${process.env.NODE_OPTIONS ?? ''} --import ${pathToFileURL(path)}`
}

/** The variables that the documentation exports. */
function documented(): Record<string, string> {
  const { code } = snippets.find(({ code }) => code.includes('HUB_TRACING')) as Snippet
  return Object.fromEntries([...code.matchAll(/\b([A-Z_]+)=(\S+)/g)].map(([, name, value]) => [name, value]))
}

t.test('the set-up of the documentation exports the spans of a server, also the last ones', async (t) => {
  const { url: endpoint, received } = await collector(t)
  const { HUB_TRACING = '', OTEL_SERVICE_NAME = '' } = documented()
  const server = new ServerProcess(t, {
    ...{ HUB_TRACING, OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, LOG_LEVEL: 'warn' },
    NODE_OPTIONS: telemetry(t)
  })
  await publish(await server.url(), '/users/alice/events', 1)
  t.equal(await server.stop('SIGTERM'), 0)
  const resources = received.flatMap(({ resourceSpans }) => resourceSpans)
  const spans = resources.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  t.same(spans.map(({ name }) => name).sort(), ['append memory', 'publish user'])
  t.ok(
    resources[0]?.resource.attributes.some(({ key, value }) => key === 'service.name' && value.stringValue === 'hub')
  )
  t.notMatch(server.stdout, /no OpenTelemetry SDK/)
})

t.test('a server that traces without an SDK says so, and serves', async (t) => {
  const server = new ServerProcess(t, { HUB_TRACING: 'on', LOG_LEVEL: 'warn' })
  await publish(await server.url(), '/users/alice/events', 1)
  t.match(server.stdout, /no OpenTelemetry SDK/)
  t.equal(await server.stop('SIGTERM'), 0)
})

t.test('a hub that does not trace imports nothing of OpenTelemetry', async (t) => {
  const folder = mkdtempSync(join(ROOT, '.tap', 'imports-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'host.mjs')
  for (const [module, expected] of [
    ['index.ts', 0],
    ['tracing.ts', 1]
  ] as const) {
    writeFileSync(
      path,
      `import { createRequire } from 'node:module'
      await import(${JSON.stringify(pathToFileURL(join(ROOT, module)).href)})
      const loaded = Object.keys(createRequire(import.meta.url).cache)
      console.log(Math.sign(loaded.filter((path) => path.includes('@opentelemetry')).length))`
    )
    const [file, ...args] = NODE_COMMAND
    const { stdout, stderr } = spawnSync(file as string, [...args, path], { cwd: ROOT, encoding: 'utf8' })
    t.same({ stdout, stderr }, { stdout: `${expected}\n`, stderr: '' }, module)
  }
})
