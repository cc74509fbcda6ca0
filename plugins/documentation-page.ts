import { promisify } from 'node:util'
import zlib from 'node:zlib'
import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { contentSecurityPolicy, type PageFile, pageFile, redirectToSlash, sendFile } from './page-files.ts'

const PATH = '/documentation'
const gzip = promisify(zlib.gzip)

/** Icons of the page are `data:` URLs in its style sheet. */
const CONTENT_SECURITY_POLICY = contentSecurityPolicy({ 'img-src': "'self' data:" })

const FILES = [
  '/',
  ...['index.css', 'swagger-ui.css', 'swagger-ui-bundle.js', 'swagger-ui-standalone-preset.js'].map(inStatic),
  ...['swagger-initializer.js', 'favicon-16x16.png', 'favicon-32x32.png'].map(inStatic)
]

function inStatic(name: string): string {
  return `/static/${name}`
}

/** Serves the page that renders `/documentation/json`, from memory. It is read when it is first asked for. */
async function page(app: FastifyInstance): Promise<void> {
  let files: Promise<ReadonlyMap<string, PageFile>> | undefined
  for (const path of FILES) {
    app.get(PATH + path, async (request, reply) => {
      files ??= readFiles().catch((error) => {
        // The next request tries again: the process may have had no descriptor left.
        files = undefined
        throw error
      })
      return sendFile((await files).get(path) as PageFile, request, reply)
    })
  }
  app.get(PATH, (request, reply) => redirectToSlash(request, reply))
}

async function readFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const reader = Fastify()
  await reader.register(fastifySwagger)
  await reader.register(fastifySwaggerUi, {
    routePrefix: PATH,
    theme: { title: 'fastify-sse-hub: HTTP API' },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true }
  })
  const files = new Map<string, PageFile>()
  for (const path of FILES) {
    const { headers, rawPayload: body } = await reader.inject(PATH + path)
    const gzipped = await gzip(body)
    const type = `${headers['content-type']}`
    files.set(path, pageFile({ type, body, contentSecurityPolicy: CONTENT_SECURITY_POLICY, gzipped: () => gzipped }))
  }
  await reader.close()
  return files
}

export const documentationPage = fp(page, { fastify: '5.x', name: 'fastify-sse-hub-documentation-page' })
