import { Kind, type TSchema, Type } from '@sinclair/typebox'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import { hostileText } from './fuzz.ts'
import { arbitraryOf, nearlyOf } from './schema-arbitrary.ts'

/** One call of the API, as its schemas describe it. */
export interface Route {
  readonly method: string
  readonly url: string
  readonly params: TSchema | undefined
  readonly query: TSchema | undefined
  readonly body: TSchema | undefined
  readonly answers: Record<string, TSchema>
}

export interface Call {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly payload: string | undefined
}

const isSchema = (schema: unknown): schema is TSchema => typeof schema === 'object' && schema !== null && Kind in schema
const schemaOf = (schema: unknown) => (isSchema(schema) ? schema : undefined)

/** Collects the routes that are added to an app from now on. */
export function collectRoutes(app: FastifyInstance): Route[] {
  const routes: Route[] = []
  app.addHook('onRoute', ({ method, url, schema = {} }) => {
    for (const verb of [method].flat()) {
      const answers = Object.entries((schema.response ?? {}) as object).filter(([, answer]) => isSchema(answer))
      routes.push({
        ...{ method: verb, url, params: schemaOf(schema.params), query: schemaOf(schema.querystring) },
        ...{ body: schemaOf(schema.body), answers: Object.fromEntries(answers) }
      })
    }
  })
  return routes
}

const token = fc.constantFrom(
  'application/json',
  'application/json; charset=utf-8',
  'text/plain',
  'APPLICATION/JSON',
  ''
)
/** The text of a header value: Node itself refuses any other character. */
const headerText = hostileText.map((text) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, ''))

/** A call of a route that its schemas allow, or nearly so. */
export function callOf(route: Route): fc.Arbitrary<Call> {
  const params = fc.oneof(arbitraryOf(route.params ?? Type.Object({})), fc.constant({}))
  const path = fc.tuple(params, hostileText, fc.boolean()).map(([given, other, isRaw]) => {
    const values = given as Record<string, unknown>
    return route.url.replace(/:(\w+)/g, (_, name: string) => escaped(written(values[name] ?? other), isRaw))
  })
  const query = route.query === undefined ? fc.constant('') : queryOf(route.query)
  const headers = fc.record(
    {
      'idempotency-key': headerText,
      'last-event-id': headerText,
      accept: fc.oneof(fc.constant('text/event-stream'), headerText),
      origin: headerText,
      'x-forwarded-for': headerText,
      'content-type': token
    },
    { requiredKeys: [] }
  )
  const body = route.body === undefined ? fc.option(hostileText, { nil: undefined }) : bodyOf(route.body)
  return fc.tuple(path, query, headers, body).map(([to, search, given, payload]) => ({
    ...{ method: route.method, url: to + (search && `?${search}`), payload },
    headers: { ...(payload === undefined ? {} : { 'content-type': 'application/json' }), ...given }
  }))
}

function bodyOf(schema: TSchema): fc.Arbitrary<string | undefined> {
  const json = nearlyOf(schema).map((value) => JSON.stringify(value))
  const cut = fc.tuple(json, fc.nat()).map(([text, at]) => text?.slice(0, at % (text.length + 1)))
  return fc.oneof({ arbitrary: json, weight: 6 }, cut, hostileText)
}

function queryOf(schema: TSchema): fc.Arbitrary<string> {
  const values = fc.oneof(nearlyOf(schema), fc.dictionary(hostileText, hostileText))
  return fc.tuple(values, fc.boolean()).map(([given, isRaw]) =>
    Object.entries((given ?? {}) as object)
      .map(([name, value]) => `${escaped(name, isRaw)}=${escaped(written(value), isRaw)}`)
      .join('&')
  )
}

/** An object may have a `toString` that is not a function. */
const written = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))

/** Percent-encoded correctly, or, if `isRaw`, only as far as HTTP itself requires. */
function escaped(text: string, isRaw: boolean): string {
  return isRaw ? text.replace(/[^\x21-\x7e]/g, '_') : encodeURIComponent(text.toWellFormed())
}
