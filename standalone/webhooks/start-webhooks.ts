import type { FastifyInstance } from 'fastify'
import type { Hub } from '../../services/hub/hub.ts'
import { explainMissing } from '../../services/optional-package.ts'
import { EnvironmentError } from '../values.ts'
import type { WebhookSettings } from './webhook-settings.ts'
import { Webhooks } from './webhooks.ts'

/** As the specification recommends, in milliseconds. */
const TIMEOUT = 15_000

/** Starts the webhooks of a server that has a hub, and stops them before the hub. */
export async function startWebhooks(server: FastifyInstance, { url, secrets }: WebhookSettings): Promise<void> {
  const { Webhook } = await import('standardwebhooks')
    .catch(explainMissing('HUB_WEBHOOK_URL', 'standardwebhooks'))
    .catch((error) => {
      throw new EnvironmentError(error.message)
    })
  const webhooks = new Webhooks({
    hub: server.sse as unknown as Hub,
    logger: server.log,
    signers: secrets.map((secret) => new Webhook(secret)),
    receiver: { url, timeout: TIMEOUT }
  })
  server.addHook('onClose', () => webhooks.stop())
  webhooks.start()
  // Without its path, which may be a secret.
  server.log.info(`webhooks go to ${url.origin}`)
}
