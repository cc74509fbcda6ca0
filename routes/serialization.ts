import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import type { FastifySerializerCompiler } from 'fastify'

/** Fastify's own serializer, instead of one that the host has set: the hub's schemas are JSON Schema. */
export const serializerCompiler = SerializerSelector()({}, {}) as FastifySerializerCompiler<unknown>
