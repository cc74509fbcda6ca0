import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

// Requests and replies of every server that Fastify makes: HTTP/1.1, HTTPS and HTTP/2, with any schemas and any logger.
// Fastify's own types stand for HTTP/1.1 alone unless each parameter is given.

// biome-ignore lint/suspicious/noExplicitAny: no other type argument takes every server
export type AnyInstance = FastifyInstance<any, any, any, any, any>
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyRequest = FastifyRequest<any, any, any, any, any, any, any, any>
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyReply = FastifyReply<any, any, any, any, any, any, any, any>
