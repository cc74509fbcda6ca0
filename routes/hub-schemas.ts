import type { FastifyInstance } from 'fastify'
import { serializerCompiler } from './serialization.ts'
import { validatorCompiler } from './validation.ts'

/** Validates and serializes the routes of this context by the hub's schemas, whatever compilers the host has set. */
export function useHubSchemas(app: FastifyInstance): void {
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // A host's transform for `@fastify/swagger` may take no other schemas than Zod's; those of the hub need none.
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, ...{ swaggerTransform: false } }
  })
}
