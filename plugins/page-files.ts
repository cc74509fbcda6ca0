import { hash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A file that is served from memory, with the headers of its response. */
export interface PageFile {
  readonly headers: Record<string, string>
  readonly etag: string
  readonly body: Buffer
  /** Undefined where compression gains nothing. */
  readonly gzipped?: (() => Buffer) | undefined
}

/** A response of `inject()`. */
interface Injected {
  readonly headers: Record<string, unknown>
  readonly rawPayload: Buffer
}

/**
 * A file from the response of `@fastify/static`, which sets its type and its entity tag. Files are served from memory: opening
 * one for each request would let a client that pipelines requests and reads nothing exhaust all descriptors.
 */
export function pageFile({ headers, rawPayload }: Injected, contentSecurityPolicy: string): PageFile {
  // A response that is generated has none.
  const etag = `${headers.etag ?? JSON.stringify(hash('sha256', rawPayload, 'base64url'))}`
  return {
    headers: {
      'content-type': `${headers['content-type']}`,
      ...(headers['last-modified'] !== undefined && { 'last-modified': `${headers['last-modified']}` }),
      etag,
      'content-security-policy': contentSecurityPolicy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      // Revalidated each time: a page of one version with scripts of another would be broken.
      'cache-control': 'no-cache'
    },
    etag,
    body: rawPayload
  }
}

export function sendFile(
  { headers, etag, body, gzipped }: PageFile,
  request: FastifyRequest,
  reply: FastifyReply
): FastifyReply {
  reply.headers(headers)
  const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim())
  if (known?.includes(etag)) return reply.code(304).send()
  if (gzipped === undefined || !acceptsGzip(request)) return reply.send(body)
  return reply.header('content-encoding', 'gzip').send(gzipped())
}

function acceptsGzip({ headers }: FastifyRequest): boolean {
  const codings = `${headers['accept-encoding'] ?? ''}`.split(',').map((coding) => coding.trim())
  return codings.some((coding) => coding === 'gzip' || (coding.startsWith('gzip;') && !/q=0(\.0*)?$/.test(coding)))
}

/** The links of a page are relative to a path that ends with a slash. */
export function redirectToSlash({ url }: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  const [path = '', ...query] = url.split('?')
  return path.endsWith('/') ? undefined : reply.redirect([`${path}/`, ...query].join('?'))
}
