import type { FastifyRequest } from 'fastify'

const SECRET_PARAMETERS = /([?&;](?:ticket|access_token|token|jwt|api_key|key)=)[^&#;]*/gi
/** What Node puts on errors of its parser, request bytes with their headers and all, and what libraries put there. */
const SECRET_PROPERTIES = new Set([
  'rawPacket',
  'request',
  'req',
  'headers',
  'authorization',
  'cookie',
  'token',
  'config'
])

/** A URL without the secrets in its query. */
export function redactUrl(url: string): string {
  return url.replace(SECRET_PARAMETERS, '$1…')
}

/** For Fastify's `logger.serializers`: what is logged of requests and errors, without credentials. */
export const redactingSerializers = {
  req(request: FastifyRequest): Record<string, unknown> {
    const { method, url, ip } = request
    return { method, url: redactUrl(url ?? ''), host: request.host, remoteAddress: ip }
  },
  err(error: Error): DescribedError {
    return describeError(error, 0)
  }
}

interface DescribedError {
  readonly [name: string]: unknown
  readonly type: string
  readonly message: string
  readonly stack: string
}

/** How far causes are followed: they may go round in a circle. */
const MAX_CAUSES = 3

function describeError(error: unknown, depth: number): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: '', stack: '' }
  const rest: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(error)) {
    if (typeof value !== 'object' && typeof value !== 'function' && !SECRET_PROPERTIES.has(name)) rest[name] = value
  }
  const { cause } = error
  return {
    ...rest,
    type: error.name,
    message: redactUrl(error.message),
    stack: redactUrl(error.stack ?? ''),
    ...(cause === undefined || depth >= MAX_CAUSES ? {} : { cause: describeError(cause, depth + 1) })
  }
}
