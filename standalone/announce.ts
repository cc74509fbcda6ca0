import type { FastifyBaseLogger } from 'fastify'
import { packageVersion } from '../plugins/package-version.ts'
import { describeSettings } from './describe-settings.ts'
import type { Environment } from './environment.ts'

/** Logs that the hub serves, with which settings and which store, and prints its address. */
export function announce(logger: FastifyBaseLogger, environment: Environment, port: number, store?: string): void {
  const { host, tls, authentication } = environment
  logger.info(
    { version: packageVersion(), node: process.version, settings: describeSettings(environment) },
    'the hub serves'
  )
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host
  if (authentication === undefined)
    logger.warn('without authentication: every client that reaches this address may read and publish')
  if (store !== undefined) logger.info(store)
  process.stdout.write(`fastify-sse-hub: open ${tls ? 'https' : 'http'}://${name}:${port}/\n`)
}
