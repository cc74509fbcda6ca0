import type { TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import type { FastifySchemaCompiler } from 'fastify'
import { InvalidRequestError } from '../services/errors.ts'

/**
 * Checks requests against TypeBox schemas, whatever the host has set up for its own: a body is taken as it is, without
 * coercion, and an unknown property is an error, because it is a misspelled one. Text from the URL is converted.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = 'request' }) => {
  const compiled = TypeCompiler.Compile(schema)
  return (value: unknown) => {
    // Converting takes much longer than checking, and mostly there is nothing to convert.
    if (compiled.Check(value)) return { value }
    const given = httpPart === 'body' ? value : Value.Convert(schema, value)
    if (compiled.Check(given)) return { value: given }
    const first = compiled.Errors(given).First()
    return {
      error: new InvalidRequestError(`${httpPart}${first?.path ?? ''}: ${first?.message ?? 'not as the schema says'}`)
    }
  }
}
