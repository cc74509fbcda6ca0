/** The part of a logger that the hub uses. Fastify's logger has it. */
export interface Logger {
  error(details: object, message: string): void
  warn(details: object, message: string): void
}
