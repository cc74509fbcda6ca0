/** As much of a logger as the hub needs; Fastify's is one. */
export interface Logger {
  error(details: object, message: string): void
  warn(details: object, message: string): void
}
