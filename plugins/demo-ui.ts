import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type PageFile, pageFile, redirectToSlash, sendFile } from './page-files.ts'

/** Only files of this origin, no inline script, no framing: the data of an event is never executed. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

/** `public/` is beside `plugins/` in the sources, and beside `dist/` in the package. */
const ROOTS = ['../public', '../../public']

/** Serves the demo page at `/`, from memory. */
async function demoUi(app: FastifyInstance): Promise<void> {
  // Not at import: a host that is bundled as CommonJS has no `import.meta`.
  const root = ROOTS.map((path) => join(import.meta.dirname, path)).find((folder) => existsSync(folder)) as string
  for (const [path, file] of await readPage(root)) {
    const handler = (request: FastifyRequest, reply: FastifyReply) => sendFile(file, request, reply)
    app.get(path, handler)
    // Below a prefix the page links to `api.js` and calls `users`.
    if (path === '/index.html')
      app.get('/', (request, reply) => redirectToSlash(request, reply) ?? handler(request, reply))
  }
}

/** Reads each file once, through `@fastify/static`, which sets its type and its entity tag. */
async function readPage(root: string): Promise<Map<string, PageFile>> {
  const reader = Fastify()
  await reader.register(fastifyStatic, { root, cacheControl: false })
  const files = new Map<string, PageFile>()
  for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/')
    files.set(path, pageFile(await reader.inject(encodeURI(path)), CONTENT_SECURITY_POLICY))
  }
  await reader.close()
  return files
}

export const demoUiPlugin = fp(demoUi, { fastify: '5.x', name: 'fastify-sse-hub-demo-ui' })
