import type { FastifyInstance } from 'fastify'
import { serializerCompiler } from './serialization.ts'
import { validatorCompiler } from './validation.ts'

/** Validates and serializes the routes of this context with the hub's compilers instead of the host's. */
export function useHubSchemas(app: FastifyInstance): void {
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // A host's transform for `@fastify/swagger` may accept Zod schemas only; the hub's schemas need no transform.
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, ...{ swaggerTransform: false } }
  })
}
