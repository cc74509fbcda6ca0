import type { FastifyInstance } from 'fastify'
import { documentedSchema } from './openapi/documented-schema.ts'
import { serializerCompiler } from './serialization.ts'
import { validatorCompiler } from './validation.ts'

/** Validates and serializes the routes of this context with the hub's compilers instead of the host's. */
export function useHubSchemas(app: FastifyInstance): void {
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // In place of a host's transform for `@fastify/swagger`, which may accept Zod schemas only.
  app.addHook('onRoute', (route) => {
    const swaggerTransform = documentedSchema(route.method, route.routePath) ?? false
    route.config = { ...route.config, ...{ swaggerTransform } }
  })
}
