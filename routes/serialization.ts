import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import type { FastifySerializerCompiler } from 'fastify'

/** Fastify's own serializer, whatever the host has set up for its schemas: those of the hub are JSON Schema. */
export const serializerCompiler = SerializerSelector()({}, {}) as FastifySerializerCompiler<unknown>
