import { STATUS_CODES } from 'node:http'
import { Type } from '@sinclair/typebox'
import * as errors from '../../services/errors.ts'

interface KnownError {
  readonly statusCode: number
  readonly message: string
}

/** Fastify's own errors that a caller of the hub can cause. */
const FASTIFY_ERRORS: Record<string, KnownError> = {
  FST_ERR_BAD_URL: { statusCode: 400, message: 'The path of the URL is malformed' },
  FST_ERR_MAX_PARAM_LENGTH: { statusCode: 414, message: 'A part of the path is too long' },
  FST_ERR_CTP_INVALID_JSON_BODY: { statusCode: 400, message: 'The body is not valid JSON' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { statusCode: 400, message: 'The body is not as long as Content-Length says' },
  FST_ERR_CTP_BODY_TOO_LARGE: { statusCode: 413, message: 'The body is too large' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { statusCode: 415, message: 'The body is not of the type application/json' }
}

/** Every error that a caller can receive, by its code. */
const KNOWN: ReadonlyMap<string, KnownError> = new Map([
  ...Object.entries(FASTIFY_ERRORS),
  ...Object.values(errors).map((HubError): [string, KnownError] => {
    const { code, statusCode = 500, message } = new HubError('…', '…')
    return [code, { statusCode, message }]
  })
])

export interface DocumentedResponse {
  readonly description: string
  readonly headers?: Record<string, object>
  readonly content: Record<string, { schema: object; example?: unknown; examples?: Record<string, { value: unknown }> }>
}

/** Statuses whose errors pass: they carry `Retry-After`. */
const RETRYABLE = new Set([429, 503])

/** The error responses of an operation, by status, from the codes of its errors. */
export function errorResponses(codes: readonly string[]): Record<string, DocumentedResponse> {
  const byStatus = new Map<number, string[]>()
  for (const code of codes) byStatus.set(statusOf(code), [...(byStatus.get(statusOf(code)) ?? []), code])
  const statuses = [...byStatus].sort(([one], [other]) => one - other)
  return Object.fromEntries(statuses.map(([status, list]) => [status, responseOf(status, list)]))
}

function statusOf(code: string): number {
  return errorOf(code).statusCode
}

function errorOf(code: string): KnownError {
  const known = KNOWN.get(code)
  if (known === undefined) throw new Error(`the documentation names an unknown error ${code}`)
  return known
}

function responseOf(status: number, codes: readonly string[]): DocumentedResponse {
  const error = STATUS_CODES[status] ?? ''
  const list = codes.map((code) => `- \`${code}\`: ${errorOf(code).message}`)
  const examples = codes.map((code): [string, { value: unknown }] => [
    code,
    { value: { statusCode: status, code, error, message: errorOf(code).message } }
  ])
  const header = { type: 'integer', minimum: 0, description: 'Seconds until the call may succeed' }
  return {
    description: [error, '', ...list].join('\n'),
    ...(RETRYABLE.has(status) ? { headers: { 'Retry-After': header } } : {}),
    content: {
      'application/json': {
        schema: Type.Object({
          statusCode: Type.Integer({ minimum: status, maximum: status }),
          code: Type.String({ enum: [...codes], description: 'Never changes its meaning' }),
          error: Type.String(),
          message: Type.String({ description: 'Names the fix; its text may change' })
        }),
        examples: Object.fromEntries(examples)
      }
    }
  }
}
