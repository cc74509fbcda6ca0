import { type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { type DocumentedResponse, errorResponses } from './error-responses.ts'
import type { Caller, Operation, Success } from './operation.ts'
import { OPERATIONS } from './operations.ts'

type Methods = string | string[]

/** The function that `@fastify/swagger` calls for a route with `config.swaggerTransform`. */
type Transform = (route: { schema: FastifySchema; url: string }) => { schema: FastifySchema; url: string }

const EVERY_CALL = ['SSE_HUB_ERR_FOREIGN_ORIGIN', 'SSE_HUB_ERR_FOREIGN_HOST', 'SSE_HUB_ERR_RATE_LIMITED']
const PARAMETERS = ['FST_ERR_BAD_URL', 'FST_ERR_MAX_PARAM_LENGTH']
const BODY = [
  ...['FST_ERR_CTP_INVALID_JSON_BODY', 'FST_ERR_CTP_INVALID_CONTENT_LENGTH', 'FST_ERR_CTP_BODY_TOO_LARGE'],
  ...[
    'FST_ERR_CTP_INVALID_MEDIA_TYPE',
    'SSE_HUB_ERR_UNSUPPORTED_TYPE',
    'SSE_HUB_ERR_INVALID_BODY',
    'SSE_HUB_ERR_TOO_MANY_BODIES'
  ]
]
const OF_CALLER: Record<Caller, readonly string[]> = {
  any: [],
  publisher: ['SSE_HUB_ERR_NO_CREDENTIALS', 'SSE_HUB_ERR_FORBIDDEN'],
  subscriber: ['SSE_HUB_ERR_UNAUTHENTICATED', 'SSE_HUB_ERR_AUTHENTICATION_UNAVAILABLE'],
  holder: ['SSE_HUB_ERR_NO_CREDENTIALS', 'SSE_HUB_ERR_FORBIDDEN']
}

/**
 * The transform that describes a route of the hub in OpenAPI, for the hub's own document and for that of a host. Only the
 * document changes: a response schema of the route itself would also serialize what a host's error handler sends.
 * @returns undefined for a route without documentation.
 */
export function documentedSchema(methods: Methods, path: string): Transform | undefined {
  const operation = OPERATIONS[`${[methods].flat()[0]} ${path}`]
  return operation && (({ schema, url }) => ({ schema: describe(schema ?? {}, operation), url }))
}

function describe(schema: FastifySchema, operation: Operation): FastifySchema {
  const { id, summary, description, tag, example, headers, query = {}, success } = operation
  const { params, querystring, body, response = {} } = schema as Record<string, TSchema | undefined>
  const parameters = withExamples(Type.Object({ ...querystring?.properties, ...optional(query) }), example.query)
  return {
    ...{ operationId: id, summary, description, tags: [tag] },
    ...(params && { params: withExamples(params as TObject, example.params) }),
    ...(Object.keys(parameters.properties).length > 0 && { querystring: parameters }),
    ...(body && { body: { ...body, examples: [example.body] } }),
    ...(headers && { headers: Type.Object(optional(headers)) }),
    response: {
      ...errorResponses(codesOf(schema, operation)),
      ...Object.fromEntries(
        Object.entries(success).map(([status, of]) => [
          status,
          successOf(of, (response as Record<string, TSchema>)[status])
        ])
      )
    }
  } as FastifySchema
}

/** The codes of all errors of an operation, none twice. */
function codesOf({ params, querystring, body }: FastifySchema, { errors, caller }: Operation): string[] {
  const isValidated = [params, querystring, body].some((part) => part !== undefined)
  return [
    ...new Set([
      ...(isValidated ? ['SSE_HUB_ERR_INVALID_REQUEST'] : []),
      ...(params === undefined ? [] : PARAMETERS),
      ...(body === undefined ? [] : BODY),
      ...OF_CALLER[caller],
      ...EVERY_CALL,
      ...errors
    ])
  ]
}

function successOf({ description, mediaType = 'application/json', ...of }: Success, schema = of.schema): object {
  if (schema === undefined) return { type: 'null', description }
  const media = { schema, ...('example' in of && { example: of.example }) }
  return { description, content: { [mediaType]: media } } satisfies DocumentedResponse
}

function withExamples(schema: TObject, examples: Record<string, unknown> = {}): TObject {
  const properties = Object.entries(schema.properties).map(([name, property]) => [
    name,
    name in examples ? { ...property, examples: [examples[name]] } : property
  ])
  return { ...schema, properties: Object.fromEntries(properties) as TProperties }
}

function optional(schemas: Record<string, TSchema>): TProperties {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, Type.Optional(schema)]))
}
