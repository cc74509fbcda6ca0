// Three times of the server, and `[Done]`, at which the page closes. Behind nginx each arrives when it is sent.
import { setTimeout as wait } from 'node:timers/promises'
import sseHub from 'fastify-sse-hub'

export async function doneMarker(app, { tick }) {
  await app.register(sseHub)

  // The hub sends `X-Accel-Buffering: no` and `Cache-Control: no-transform`, so nginx passes events on with its defaults.
  app.get('/stream', (request, reply) => app.sse.stream(request, reply, times))

  async function* times(signal) {
    for (let step = 0; step < 3; step++) {
      yield { data: `server time ${new Date().toISOString()}` }
      await wait(tick, undefined, { signal })
    }
    yield { data: '[Done]' }
  }
}
