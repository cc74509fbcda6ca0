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

interface FileContent {
  /** The media type. */
  readonly type: string
  readonly body: Buffer
  readonly contentSecurityPolicy: string
  readonly gzipped?: (() => Buffer) | undefined
}

/**
 * A file that is served from memory: opening one for each request would let a client that pipelines requests and reads
 * nothing exhaust all descriptors.
 */
export function pageFile({ type, body, contentSecurityPolicy, gzipped }: FileContent): PageFile {
  const etag = JSON.stringify(hash('sha256', body, 'base64url'))
  return {
    headers: {
      'content-type': type,
      etag,
      'content-security-policy': contentSecurityPolicy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      // Revalidated each time: a page of one version with scripts of another would be broken.
      'cache-control': 'no-cache',
      ...(gzipped !== undefined && { vary: 'accept-encoding' })
    },
    etag,
    body,
    gzipped
  }
}

/** Only files of this origin, no inline script, no framing: the data of an event is never executed. */
export function contentSecurityPolicy(sources: Readonly<Record<string, string>>): string {
  const own = { 'script-src': "'self'", 'style-src': "'self'", ...sources, 'connect-src': "'self'" }
  const none = { 'base-uri': "'none'", 'form-action': "'none'", 'frame-ancestors': "'none'" }
  return Object.entries({ 'default-src': "'none'", ...own, ...none })
    .map(([directive, source]) => `${directive} ${source}`)
    .join('; ')
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
