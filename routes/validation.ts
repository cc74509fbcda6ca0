import type { TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import type { FastifySchemaCompiler } from 'fastify'
import { InvalidRequestError } from '../services/errors.ts'

/**
 * Validates requests with TypeBox, instead of the host's validator. Bodies are not coerced, and unknown properties are
 * errors, because they are misspelled ones. Text from the URL is converted.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = 'request' }) => {
  const compiled = TypeCompiler.Compile(schema)
  return (value: unknown) => {
    // Converting takes much longer than checking, and is rarely needed.
    if (compiled.Check(value)) return { value }
    const given = httpPart === 'body' ? value : Value.Convert(schema, value)
    if (compiled.Check(given)) return { value: given }
    const first = compiled.Errors(given).First()
    return {
      error: new InvalidRequestError(
        `${httpPart}${first?.path ?? ''}: ${first?.message ?? 'does not match the schema'}`
      )
    }
  }
}
