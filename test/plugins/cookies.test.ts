import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { buildHub, failOnWarnings } from '../support/build.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

t.test('a cookie header that is set before the stream opens is sent with the headers of the stream', async (t) => {
  const host = await buildHub(t, {
    host: async (app) => {
      await app.register(fastifyCookie)
      app.get('/events', async (request, reply) => {
        // @fastify/cookie sends this cookie in an onSend hook, which a stream does not run.
        reply.setCookie('lost', 'yes')
        reply.header('set-cookie', app.serializeCookie('seen', 'yes', { path: '/', httpOnly: true }))
        return app.sse.connect(request, reply)
      })
    }
  })
  const client = await host.client(`${await host.listen()}/events?user=alice`)
  t.same(client.response.headers['set-cookie'], ['seen=yes; Path=/; HttpOnly'])
})

t.test('a rolling session goes on with a stream whose handler renews it', async (t) => {
  const saved: string[] = []
  const sessions = new Map<string, object>()
  const store = {
    set(id: string, session: object, done: (error?: unknown) => void) {
      saved.push(id)
      sessions.set(id, session)
      done()
    },
    get(id: string, done: (error: unknown, session?: never) => void) {
      done(null, sessions.get(id) as never)
    },
    destroy(id: string, done: (error?: unknown) => void) {
      sessions.delete(id)
      done()
    }
  }
  const host = await buildHub(t, {
    host: async (app) => {
      await app.register(fastifyCookie)
      await app.register(fastifySession, {
        secret: 'x'.repeat(32),
        cookie: { secure: false, maxAge: 60_000 },
        rolling: true,
        store
      })
      const renewSession = async ({ session }: FastifyRequest, reply: FastifyReply) => {
        session.touch()
        await session.save()
        const { path = '/', httpOnly = true, secure, sameSite, expires } = session.cookie
        const options = {
          path,
          httpOnly,
          secure: secure === true,
          sameSite: sameSite ?? false,
          expires: expires ?? undefined
        }
        reply.header('set-cookie', app.serializeCookie('sessionId', session.encryptedSessionId, options as object))
      }
      app.post('/login', async (request) => {
        request.session.set('user' as never, 'alice' as never)
        return 'welcome'
      })
      app.get('/events', async (request, reply) => {
        const user = request.session.get('user' as never) as unknown as string
        await renewSession(request, reply)
        return app.sse.connect(request, reply, { user })
      })
      app.get('/whoami', async (request) => String(request.session.get('user' as never)))
    }
  })
  const url = await host.listen()
  const login = await fetch(`${url}/login`, { method: 'POST' })
  const cookie = String(login.headers.get('set-cookie')).split(';')[0] as string
  const savedBefore = saved.length
  const client = await StreamClient.open(`${url}/events`, { headers: { cookie } })
  t.teardown(() => client.cut())
  t.equal(JSON.parse((await client.event('hub.welcome')).data).user, 'alice')
  const [renewed = ''] = client.response.headers['set-cookie'] ?? []
  t.match(renewed, /^sessionId=[^;]+; Path=\/; Expires=[^;]+; HttpOnly/)
  t.equal(renewed.split(';')[0], cookie, 'the same session')
  t.ok(saved.length > savedBefore, 'the store has extended it')
  t.equal(
    await (await fetch(`${url}/whoami`, { headers: { cookie: renewed.split(';')[0] as string } })).text(),
    'alice'
  )
})
