// Receives the hub's webhooks, and sends Web Push and e-mail to the users that they name.
import Fastify from 'fastify'
import { Webhook } from 'standardwebhooks'
import webPush from 'web-push'

/** A database would keep what was sent; memory forgets the oldest. */
const MAX_SENT = 10_000
/** The push service no longer knows the subscription. */
const GONE = [404, 410]

/**
 * @param secret the hub's HUB_WEBHOOK_SECRET
 * @param contacts a Map from user to `{ email?, subscriptions? }`
 * @param mailer a transport of nodemailer
 * @param push options of web-push, with `vapidDetails`
 */
export function receiver({ secret, contacts, mailer, from, push, logger = true }) {
  const webhook = new Webhook(secret)
  const sent = new Set()
  const app = Fastify({ logger })

  // The signature is over the bytes of the body.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  app.post('/hooks', async (request, reply) => {
    let message
    try {
      message = webhook.verify(request.body, request.headers)
    } catch {
      return reply.code(401).send({ error: 'The signature is not valid' })
    }
    if (message.type === 'event.undelivered') await notify(request.headers['webhook-id'], message.data)
    return reply.code(204).send()
  })

  /** Rejects if something was not sent: then the response is 500, and the hub sends the webhook again. */
  async function notify(id, { users, event, data }) {
    const attempts = users.flatMap((user) => {
      const { email, subscriptions = [] } = contacts.get(user) ?? {}
      return [
        ...(email ? [once(`${id} ${email}`, () => sendMail(email, event, data))] : []),
        ...subscriptions.map((each) => once(`${id} ${each.endpoint}`, () => sendPush(user, each, event, data)))
      ]
    })
    const failures = (await Promise.allSettled(attempts)).filter(({ status }) => status === 'rejected')
    for (const { reason } of failures) app.log.error(reason)
    if (failures.length > 0) throw new Error(`${failures.length} of ${attempts.length} notifications were not sent`)
  }

  /** Does not repeat what an earlier attempt of the same webhook has sent. */
  async function once(key, send) {
    if (sent.has(key)) return
    await send()
    sent.add(key)
    if (sent.size > MAX_SENT) sent.delete(sent.values().next().value)
  }

  const sendMail = (to, event, data) => mailer.sendMail({ from, to, subject: `You missed: ${event}`, text: data })

  async function sendPush(user, subscription, event, data) {
    try {
      await webPush.sendNotification(subscription, JSON.stringify({ event, data }), push)
    } catch (error) {
      if (!GONE.includes(error.statusCode)) throw error
      const contact = contacts.get(user)
      contact.subscriptions = contact.subscriptions.filter((each) => each !== subscription)
    }
  }

  return app
}
