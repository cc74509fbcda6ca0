import fastifySwagger from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Caller } from './openapi/operation.ts'
import { OPERATIONS, TAGS } from './openapi/operations.ts'
import { HUB_EVENTS } from './openapi/stream-events.ts'

export interface DocumentationOptions {
  /** The path below which the API is served. */
  readonly basePath: string
  /** Whether no caller needs credentials. */
  readonly isOpen: boolean
  readonly version: string
}

/** Beside the host's own `swagger`, which describes the host. */
const DECORATOR = 'hubDocumentation'

const SECURITY_SCHEMES = {
  apiKey: {
    ...{ type: 'http', scheme: 'bearer' },
    description: 'A key of HUB_API_KEYS, with the scopes that a call needs: for publishers'
  },
  token: {
    ...{ type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    description: 'A token (JWT): of a subscriber, with its user in "sub", or of a publisher, with scopes in "scope"'
  },
  ticket: {
    ...{ type: 'apiKey', in: 'query', name: 'ticket' },
    description: 'A ticket of POST /tickets: for event sources, which send no headers'
  }
}

const SECURITY: Record<Caller, object[]> = {
  any: [],
  publisher: [{ apiKey: [] }, { token: [] }],
  subscriber: [{ token: [] }, { ticket: [] }],
  holder: [{ apiKey: [] }, { token: [] }]
}

const DESCRIPTION = `Publishers and subscribers need HTTP and JSON alone.

Errors have the shape \`{ statusCode, code, error, message }\`. On event streams only a final refusal is an error status.
The data of the hub's own events, whose names begin with \`hub.\`, is described under Schemas.`

type Document = { paths: Record<string, Record<string, { operationId?: string; security?: object[] }>> }

/** `GET /documentation/json`: the routes that are registered after it, as OpenAPI 3.1. */
async function documentation(app: FastifyInstance, { basePath, isOpen, version }: DocumentationOptions): Promise<void> {
  await app.register(fastifySwagger, {
    decorator: DECORATOR as 'swagger',
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'fastify-sse-hub',
        version,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' }
      },
      servers: [{ url: basePath || '/' }],
      tags: TAGS,
      components: {
        ...(isOpen ? {} : { securitySchemes: SECURITY_SCHEMES }),
        schemas: Object.fromEntries(Object.entries(HUB_EVENTS).map(([name, schema]) => [name, Type.Unsafe(schema)]))
      }
    },
    // Routes of the hub bring a transform of their own.
    transform: ({ url }) => ({ schema: { hide: true }, url }),
    transformObject: (found) => secured((found as { openapiObject: Document }).openapiObject, isOpen)
  } as Parameters<typeof fastifySwagger>[1])
  const read = () => (app as unknown as Record<typeof DECORATOR, () => object>)[DECORATOR]()
  // Rendered once: the routes do not change after the start. As bytes, because a text would be encoded for each response.
  let rendered: Buffer | undefined
  app.get('/documentation/json', (_request, reply) => {
    rendered ??= Buffer.from(JSON.stringify(read()))
    return reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache').send(rendered)
  })
}

/** Adds to each operation the credentials that it takes. */
function secured(document: Document, isOpen: boolean): Document {
  if (isOpen) return document
  const callers = new Map(Object.values(OPERATIONS).map(({ id, caller }) => [id, caller]))
  for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    const caller = callers.get(operation.operationId ?? '')
    if (caller !== undefined) operation.security = SECURITY[caller]
  }
  return document
}

export const documentationRoute = fp(documentation, { fastify: '5.x', name: 'fastify-sse-hub-documentation' })
