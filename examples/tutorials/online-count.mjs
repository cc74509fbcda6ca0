// A welcome with the online count, a reconnection time, heartbeats for proxies, and broadcasts.
import sseHub from 'fastify-sse-hub'

/** The least time between two online counts, in milliseconds: a thousand clients that come at once cause one broadcast. */
const COUNT_INTERVAL = 250

export async function onlineCount(app, { tick }) {
  await app.register(sseHub, {
    heartbeatInterval: 15_000,
    reconnectionTime: 5 * tick,
    // Beside `online`, which the welcome has by itself.
    welcome: ({ user }) => ({ text: `Welcome, ${user}` })
  })

  const user = { type: 'string', minLength: 1, maxLength: 64 }
  const querystring = { type: 'object', required: ['user'], properties: { user } }
  app.get('/connect', { schema: { querystring } }, (request, reply) =>
    app.sse.connect(request, reply, { user: request.query.user })
  )

  const message = { type: 'string', minLength: 1, maxLength: 1_000 }
  const body = { type: 'object', required: ['message'], properties: { message } }
  app.post('/broadcast', { schema: { body } }, (request) =>
    app.sse.broadcast({ event: 'notice', data: request.body.message })
  )

  // Closes all streams for now, as a restart does: clients return after the reconnection time, each at another moment.
  app.post('/cut', async () => {
    const { users } = await app.sse.online()
    const closed = await Promise.all(users.map(({ user }) => app.sse.disconnect(user, { reconnect: true })))
    return { closed: closed.reduce((sum, streams) => sum + streams, 0) }
  })

  let timer
  const count = () => {
    timer ??= setTimeout(() => {
      timer = undefined
      const { users, streams } = app.sse.stats().cluster
      app.sse
        .broadcast({ event: 'online', data: { users, streams }, transient: true })
        .catch((error) => app.log.warn(error, 'the online count was not sent'))
    }, COUNT_INTERVAL)
  }
  app.sse.on('open', count)
  app.sse.on('close', count)
  app.addHook('preClose', async () => clearTimeout(timer))
}
