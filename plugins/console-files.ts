import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { contentSecurityPolicy, type PageFile, pageFile } from './page-files.ts'

const CONTENT_SECURITY_POLICY = contentSecurityPolicy({ 'img-src': "'self'", 'font-src': "'self'" })

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2'
}

/** The build is beside `plugins/` in the package, and in `dist/` of a checkout. */
const ROOTS = ['../console', '../dist/console']

/** For a checkout that was not built: the API works without the console. */
const NOT_BUILT = '<!doctype html><title>SSE Hub</title><p>The console is not built. Run "npm run build".\n'

/** Reads the files of the console once; `api` is the path of the hub's routes, relative to the page. */
export function readConsole(api: string): Map<string, PageFile> {
  // Not at import: a host that is bundled as CommonJS has no `import.meta`.
  const root = ROOTS.map((path) => join(import.meta.dirname, path)).find((folder) => existsSync(folder))
  if (root === undefined) return new Map([['index.html', fileOf('index.html', Buffer.from(NOT_BUILT))]])
  return new Map(
    namesIn(root).map((name) => {
      const body = readFileSync(join(root, name))
      return [name, fileOf(name, name === 'index.html' ? withApi(body, api) : body)]
    })
  )
}

/** The files of the page. A build that runs at this moment leaves others beside them. */
function namesIn(root: string): string[] {
  return readdirSync(root).filter((name) => Object.hasOwn(TYPES, extname(name)))
}

function fileOf(name: string, body: Buffer): PageFile {
  const type = TYPES[extname(name)] ?? 'application/octet-stream'
  // Fonts are compressed already.
  const gzipped = type.startsWith('font/') ? undefined : lazily(() => gzipSync(body, { level: 9 }))
  return pageFile({ type, body, contentSecurityPolicy: CONTENT_SECURITY_POLICY, gzipped })
}

/** Compressed when it is first asked for: most programs that start a hub never open the page. */
function lazily<Value>(create: () => Value): () => Value {
  let value: Value | undefined
  return () => {
    value ??= create()
    return value
  }
}

function withApi(page: Buffer, api: string): Buffer {
  const escaped = api.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
  return Buffer.from(
    page.toString().replace('name="sse-hub-api" content="./"', () => `name="sse-hub-api" content="${escaped}"`)
  )
}
