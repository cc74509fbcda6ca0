#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { type AddressInfo, BlockList, isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import closeWithGrace from 'close-with-grace'
import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify'
import { hubApp } from './app.ts'
import { authentication } from './plugins/authentication.ts'
import { ConnectionGuard } from './plugins/connections/connection-guard.ts'
import type { ConnectionLimits } from './plugins/connections/limits.ts'
import { closeInOrder } from './plugins/last-connections.ts'
import { packageVersion } from './plugins/package-version.ts'
import { answerUnreadableUrl, redactingSerializers } from './plugins/redaction.ts'
import { Tickets } from './services/access/ticket-issuer.ts'
import { closeParts } from './services/hub/close-parts.ts'
import { describeSettings, publicSettings } from './standalone/describe-settings.ts'
import { type Environment, EnvironmentError, readEnvironment } from './standalone/environment.ts'
import { reloadKeys } from './standalone/reload-keys.ts'
import { type HistoryStore, openHistory } from './standalone/stores.ts'
import { startWebhooks } from './standalone/webhooks/start-webhooks.ts'

/** How long a stop may take, in milliseconds. */
const STOP_WITHIN = 10_000
/** A signal within this time after the first repeats it, in milliseconds: npm and systemd both forward signals. */
const SAME_SIGNAL_WITHIN = 500
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const
/** Thousands of event sources may reconnect at once; TCP delays connections beyond the backlog by a second. */
const BACKLOG = 4_096
/** A name of 256 bytes, each of them percent-encoded. */
const MAX_PARAM_LENGTH = 768

async function main(): Promise<void> {
  const environment = readEnvironment(process.env)
  const guard = new ConnectionGuard(connectionLimits(environment))
  const server = createServer(environment, guard)
  const history = await openHistory(environment, server.log)
  try {
    await serve(server, environment, history, guard)
  } catch (error) {
    // Open connections and timers would keep the process alive.
    if (server.hasDecorator('sse')) {
      const report = (err: unknown) => server.log.error({ err }, 'a hub that did not start could not be closed')
      await server.close().catch(report)
    } else await closeParts(history, server.log)
    throw error
  }
}

async function serve(
  server: FastifyInstance,
  environment: Environment,
  history: HistoryStore,
  guard: ConnectionGuard
): Promise<void> {
  const { authentication: settings, loopbackOnly, rateLimit } = environment
  const { heartbeatInterval, reconnectionTime, maxStreamAge, presenceGrace, retention, corsOrigins } = environment
  const { maxStreams, maxStreamsPerUser, maxStreamsPerAddress, openingRate, maxEventBytes, stallTimeout } = environment
  const { log, cluster, tickets, description, warning } = history
  const keys =
    settings &&
    (await authentication(server, {
      ...settings,
      tickets: tickets && new Tickets({ store: tickets }),
      origins: corsOrigins
    }))
  await server.register(hubApp, {
    hub: {
      log,
      cluster: cluster,
      heartbeatInterval,
      reconnectionTime,
      maxStreamAge,
      retention,
      maxStreams,
      maxStreamsPerUser,
      maxStreamsPerAddress,
      openingRate,
      presenceGrace,
      unreadAfter: environment.webhooks?.unreadAfter,
      maxEventBytes,
      stallTimeout,
      paceConnections: true
    },
    corsOrigins,
    connections: guard,
    authentication: keys,
    loopbackOnly,
    rateLimit,
    metrics: environment.metrics,
    settings: publicSettings(environment),
    handleNotFound: true
  })
  if (environment.webhooks !== undefined) await startWebhooks(server, environment.webhooks)
  closeInOrder(server)
  // Request logging is off, so errors are logged here.
  server.addHook('onError', async (request, _reply, error) => {
    if ((error.statusCode ?? 500) >= 500) request.log.error({ err: error }, 'a request failed')
  })
  const reload = keys && !process.stdout.isTTY ? () => reloadKeys(keys, process.env, server.log) : undefined
  stopInOrder(server, environment.drainDelay, reload)
  await listen(server, environment)
  announce(server, environment, description)
  // Also with LOG_LEVEL=silent: the operator must know that history is not kept.
  if (warning !== undefined) process.stderr.write(`fastify-sse-hub: WARNING: ${warning}\n`)
}

/**
 * Closes the streams and ends the process with exit code 0, after a signal to stop and the drain delay. Another signal ends the
 * delay. An uncaught error stops the process without a delay. SIGHUP calls `reload`, or stops the process: a terminal that is
 * closed sends it.
 */
function stopInOrder(server: FastifyInstance, delay: number, reload?: () => Promise<void>): void {
  const skip: closeWithGrace.AllEvents[] = [...STOP_SIGNALS, 'beforeExit']
  if (reload !== undefined) {
    skip.push('SIGHUP')
    process.on('SIGHUP', reload)
  }
  const grace = closeWithGrace({ delay: delay + STOP_WITHIN, logger: server.log, skip }, async ({ err }) => {
    if (err) server.log.error({ err }, 'stopping after an error')
    else await server.sse.drain({ delay })
    await server.close()
  })
  // By default close-with-grace exits at once at a second signal.
  let stoppingSince: number | undefined
  const stop = () => {
    if (stoppingSince === undefined) {
      stoppingSince = performance.now()
      if (delay > 0) server.log.info(`not ready; streams end in ${delay} ms, or at another signal`)
      grace.close()
    } else if (delay > 0 && performance.now() - stoppingSince > SAME_SIGNAL_WITHIN) {
      server.sse.drain().catch((error) => server.log.error({ err: error }, 'the streams could not be ended in order'))
    }
  }
  for (const signal of STOP_SIGNALS) process.on(signal, stop)
}

async function listen(server: FastifyInstance, { host, port }: Environment): Promise<void> {
  try {
    await server.listen({ host, port, backlog: BACKLOG })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const name = code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' ? 'HOST' : 'PORT'
    throw new EnvironmentError(`${name} cannot be listened on: ${message}`)
  }
}

function connectionLimits(environment: Environment): ConnectionLimits {
  const { maxConnections, maxConnectionsPerAddress, maxUnreadBytes, requestTimeout, stallTimeout } = environment
  const isProxy = proxyTest(environment.trustProxy)
  return { maxConnections, maxConnectionsPerAddress, maxUnreadBytes, requestTimeout, stallTimeout, isProxy }
}

/** Returns the test whether a peer is a proxy. If only the number of proxies is set, every peer is one. */
function proxyTest(trustProxy: Environment['trustProxy']): (address: string) => boolean {
  if (!Array.isArray(trustProxy)) return () => trustProxy !== false && trustProxy !== 0
  const proxies = new BlockList()
  for (const entry of trustProxy) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) proxies.addAddress(address, family)
    else proxies.addSubnet(address, Number(bits), family)
  }
  return (address) => proxies.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

function createServer({ logLevel, trustProxy, tls }: Environment, { serverFactory }: ConnectionGuard): FastifyInstance {
  const options: FastifyServerOptions = {
    // Logging each request would cost more than publishing.
    logController: new LogController({ disableRequestLogging: true }),
    logger: { level: logLevel, serializers: redactingSerializers },
    frameworkErrors: answerUnreadableUrl,
    serverFactory,
    // A number is the number of proxies in front of the hub.
    trustProxy: typeof trustProxy === 'number' ? (_address, hop) => hop < trustProxy : trustProxy,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // A closing server sends event sources a retryable rejection: a 503 would end them for good.
    return503OnClosing: false
  }
  if (tls === undefined) return Fastify(options)
  const https = { cert: read('HUB_TLS_CERT', tls.cert), key: read('HUB_TLS_KEY', tls.key), allowHTTP1: true }
  try {
    createSecureContext(https)
  } catch (error) {
    throw new EnvironmentError(
      `HUB_TLS_CERT and HUB_TLS_KEY are not a certificate with its key: ${(error as Error).message}`
    )
  }
  return Fastify({ ...options, http2: true, https } as FastifyServerOptions)
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new EnvironmentError(`${name} cannot be read: ${(error as Error).message}`)
  }
}

function announce(server: FastifyInstance, environment: Environment, store: string): void {
  const { host, tls, authentication } = environment
  server.log.info(
    { version: packageVersion(), node: process.version, settings: describeSettings(environment) },
    'the hub serves'
  )
  const { port } = server.server.address() as AddressInfo
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host
  if (authentication === undefined)
    server.log.warn('without authentication: every client that reaches this address may read and publish')
  server.log.info(store)
  process.stdout.write(`fastify-sse-hub: open ${tls ? 'https' : 'http'}://${name}:${port}/\n`)
}

main().catch((error) => {
  process.stderr.write(
    `fastify-sse-hub: ${error instanceof EnvironmentError ? error.message : (error?.stack ?? error)}\n`
  )
  process.exitCode = 1
})
