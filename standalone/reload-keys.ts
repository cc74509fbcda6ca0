import Fastify, { type FastifyBaseLogger } from 'fastify'
import { type Authentication, authentication } from '../plugins/authentication.ts'
import { describeKeys } from './describe-settings.ts'
import { readEnvironment } from './environment.ts'
import type { Variables } from './values.ts'

/**
 * Reads the keys again, and has the hub use them: for requests and streams from now on. Streams that are open stay open. If the
 * settings are invalid, or have no keys any more, the keys in use remain.
 */
export async function reloadKeys(keys: Authentication, env: Variables, logger: FastifyBaseLogger): Promise<void> {
  try {
    const { authentication: settings, corsOrigins } = readEnvironment(env)
    if (settings === undefined) throw new Error('there are no keys any more; restart the hub to open it')
    // Verifiers of tokens are plugins, and a server that listens takes none.
    keys.replaceKeys(await authentication(Fastify(), { ...settings, origins: corsOrigins }))
    logger.info({ keys: describeKeys(settings) }, 'the keys were read again')
  } catch (error) {
    logger.error({ err: error }, 'the keys could not be read again; those in use remain')
  }
}
