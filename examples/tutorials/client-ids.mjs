// Subscribe, send, close and broadcast by client id. The hub is the map from id to emitters.
import sseHub from 'fastify-sse-hub'

const clientId = { type: 'string', minLength: 1, maxLength: 64 }
const content = { type: 'string', maxLength: 1_000 }
const withBody = (properties) => ({
  schema: { body: { type: 'object', required: Object.keys(properties), properties } }
})

export async function clientIds(app) {
  await app.register(sseHub)
  app.sse.on('open', ({ user }) => app.log.info({ user }, 'subscribed'))
  app.sse.on('close', ({ user, reason }) => app.log.info({ user, reason }, 'left'))

  const querystring = { type: 'object', required: ['clientId'], properties: { clientId } }
  app.get('/subscribe', { schema: { querystring } }, (request, reply) =>
    app.sse.connect(request, reply, { user: request.query.clientId })
  )

  // An absent client is no error: `streams` is 0, and the client gets the event when it returns.
  app.post('/send', withBody({ clientId, content }), ({ body }) => app.sse.send(body.clientId, { data: body.content }))
  app.post('/broadcast', withBody({ content }), ({ body }) => app.sse.broadcast({ data: body.content }))

  // Closed for good: an event source that is not closed by its page returns, is answered 204, and stays away.
  app.post('/close', withBody({ clientId }), async ({ body }) => ({ closed: await app.sse.disconnect(body.clientId) }))
}
