import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

/** A name contains no separator, so a match is tried once per separator: a URL of 16 KB of `?` stays cheap. */
const PARAMETER = /([?&;])([^=?&;#\s]*)=[^&;#\s"']*/g
const SECRET_PARAMETERS = new Set(['ticket', 'access_token', 'token', 'jwt', 'api_key', 'apikey', 'key'])
/** Properties that Node's parser and libraries set on errors, and that hold request bytes, headers or credentials. */
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

/** Replaces the secrets in the queries of all URLs in a text. */
export function redactUrl(text: string): string {
  return text.replace(PARAMETER, (parameter, separator: string, name: string) =>
    isSecret(name) ? `${separator}${name}=…` : parameter
  )
}

/** Compares the decoded name, because the server decodes it, too. */
function isSecret(name: string): boolean {
  try {
    return SECRET_PARAMETERS.has(decodeURIComponent(name).toLowerCase())
  } catch {
    // A name that cannot be decoded may be a secret's.
    return true
  }
}

/** For Fastify's `logger.serializers`: logs requests and errors without credentials. */
export const redactingSerializers = {
  req(request: FastifyRequest): Record<string, unknown> {
    const { method, url, ip } = request
    return { method, url: redactUrl(url ?? ''), host: request.host, remoteAddress: ip }
  },
  err(error: Error): DescribedError {
    return describeError(error, 0)
  }
}

/** For Fastify's `frameworkErrors`, whose own message about an unreadable URL repeats the URL. */
export function answerUnreadableUrl(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const { statusCode = 400, code } = error
  reply.code(statusCode).send({
    statusCode,
    code,
    error: STATUS_CODES[statusCode],
    message: 'The path of the URL is malformed or too long'
  })
}

interface DescribedError {
  readonly [name: string]: unknown
  readonly type: string
  readonly message: string
  readonly stack: string
}

/** Maximum depth of causes: they may form a cycle. */
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
