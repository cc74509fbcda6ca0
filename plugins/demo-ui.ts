import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

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

interface PageFile {
  readonly headers: Record<string, string>
  readonly etag: string
  readonly body: Buffer
}

/**
 * Serves the demo page at `/`, from memory. Opening a file for each request would let a client that pipelines requests and
 * reads nothing exhaust all descriptors.
 */
async function demoUi(app: FastifyInstance): Promise<void> {
  // Not at import: a host that is bundled as CommonJS has no `import.meta`.
  const root = ROOTS.map((path) => join(import.meta.dirname, path)).find((folder) => existsSync(folder)) as string
  for (const [path, file] of await readPage(root)) {
    const handler = (request: FastifyRequest, reply: FastifyReply) => sendFile(file, request, reply)
    app.get(path, handler)
    if (path === '/index.html')
      app.get('/', (request, reply) => redirectToSlash(request, reply) ?? handler(request, reply))
  }
}

/** Below a prefix the page links to `api.js` and calls `users`, which are relative to a path that ends with a slash. */
function redirectToSlash({ url }: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  const [path = '', ...query] = url.split('?')
  return path.endsWith('/') ? undefined : reply.redirect([`${path}/`, ...query].join('?'))
}

/** Reads each file once, through `@fastify/static`, which sets its type and its entity tag. */
async function readPage(root: string): Promise<Map<string, PageFile>> {
  const reader = Fastify()
  await reader.register(fastifyStatic, { root, cacheControl: false })
  const files = new Map<string, PageFile>()
  for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/')
    const { headers, rawPayload } = await reader.inject(encodeURI(path))
    files.set(path, {
      headers: {
        'content-type': `${headers['content-type']}`,
        'last-modified': `${headers['last-modified']}`,
        etag: `${headers.etag}`,
        'content-security-policy': CONTENT_SECURITY_POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        // Revalidated each time: a page of one version with scripts of another would be broken.
        'cache-control': 'no-cache'
      },
      etag: `${headers.etag}`,
      body: rawPayload
    })
  }
  await reader.close()
  return files
}

function sendFile({ headers, etag, body }: PageFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.headers(headers)
  const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim())
  return known?.includes(etag) ? reply.code(304).send() : reply.send(body)
}

export const demoUiPlugin = fp(demoUi, { fastify: '5.x', name: 'fastify-sse-hub-demo-ui' })
