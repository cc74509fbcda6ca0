import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

// Requests and replies of every server that Fastify creates: HTTP/1.1, HTTPS and HTTP/2, with any schemas and any logger.
// Without type arguments Fastify's own types cover HTTP/1.1 only.

// biome-ignore lint/suspicious/noExplicitAny: no other type argument accepts every server
export type AnyInstance = FastifyInstance<any, any, any, any, any>
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyRequest = FastifyRequest<any, any, any, any, any, any, any, any>
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyReply = FastifyReply<any, any, any, any, any, any, any, any>
