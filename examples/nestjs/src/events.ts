import 'fastify-sse-hub'

/** The events of this app: a wrong name or payload does not compile. */
declare module 'fastify-sse-hub' {
  interface SseHubEvents {
    'order.shipped': { id: number }
  }
}
