#!/usr/bin/env node
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { hubApp } from './app.ts'
import { authentication } from './plugins/authentication.ts'
import type { ConnectionGuard } from './plugins/connections/connection-guard.ts'
import { closeInOrder } from './plugins/last-connections.ts'
import { Tickets } from './services/access/ticket-issuer.ts'
import { closeParts } from './services/hub/close-parts.ts'
import { announce } from './standalone/announce.ts'
import { createServer, type GuardedServer } from './standalone/create-server.ts'
import { publicSettings } from './standalone/describe-settings.ts'
import { type Environment, EnvironmentError, readEnvironment } from './standalone/environment.ts'
import { reloadKeys } from './standalone/reload-keys.ts'
import { startTracing } from './standalone/start-tracing.ts'
import { stopInOrder } from './standalone/stop-in-order.ts'
import { type HistoryStore, openHistory } from './standalone/stores.ts'
import { startWebhooks } from './standalone/webhooks/start-webhooks.ts'
import { workerNumber } from './standalone/workers/protocol.ts'
import { runPrimary } from './standalone/workers/run-primary.ts'
import { WorkerLink } from './standalone/workers/worker-link.ts'
import { workerSettings } from './standalone/workers/worker-settings.ts'

/** Thousands of event sources may reconnect at once; TCP delays connections beyond the backlog by a second. */
const BACKLOG = 4_096

async function main(): Promise<void> {
  const environment = readEnvironment(process.env)
  const worker = workerNumber(process.env)
  if (worker !== undefined) return serveAsWorker(environment, worker)
  if (environment.workers > 1) process.exit(await runPrimary(environment, import.meta.filename))
  await start(environment, createServer(environment))
}

/** Serves beside other workers. The primary process logs an error of the start. */
async function serveAsWorker(environment: Environment, worker: number): Promise<void> {
  const link = new WorkerLink(worker, process)
  try {
    const guarded = createServer(workerSettings(environment), link)
    const { maxConnections = guarded.guard.maxConnections * environment.workers } = environment
    link.maxConnections = maxConnections || null
    await start(environment, guarded, link)
  } catch (error) {
    await link.failed(textOf(error))
    process.exit(1)
  }
}

async function start(environment: Environment, { server, guard }: GuardedServer, link?: WorkerLink): Promise<void> {
  const history = await openHistory(environment, server.log)
  try {
    await serve(server, environment, history, guard, link)
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
  guard: ConnectionGuard,
  link: WorkerLink | undefined
): Promise<void> {
  const { authentication: settings, loopbackOnly, rateLimit } = environment
  const { heartbeatInterval, reconnectionTime, maxStreamAge, presenceGrace, retention, corsOrigins } = environment
  const { maxStreams, maxStreamsPerUser, maxStreamsPerAddress, maxEventBytes, stallTimeout } = environment
  const { openingRate } = link === undefined ? environment : workerSettings(environment)
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
    workers: link,
    handleNotFound: true
  })
  if (environment.tracing === 'on') await startTracing(server)
  if (environment.webhooks !== undefined) await startWebhooks(server, environment.webhooks)
  closeInOrder(server)
  // Request logging is off, so errors are logged here.
  server.addHook('onError', async (request, _reply, error) => {
    if ((error.statusCode ?? 500) >= 500) request.log.error({ err: error }, 'a request failed')
  })
  const reload = keys && !process.stdout.isTTY ? () => reloadKeys(keys, process.env, server.log) : undefined
  stopInOrder(server, environment.drainDelay, reload)
  await link?.mayListen()
  await listen(server, environment)
  if (link !== undefined) server.log.info(description)
  else announce(server.log, environment, (server.server.address() as AddressInfo).port, description)
  // Also with LOG_LEVEL=silent: the operator must know that history is not kept.
  if (warning !== undefined) process.stderr.write(`fastify-sse-hub: WARNING: ${warning}\n`)
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

/** An error of the start, for the operator. */
function textOf(error: unknown): string {
  if (error instanceof EnvironmentError) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

main().catch((error) => {
  process.stderr.write(`fastify-sse-hub: ${textOf(error)}\n`)
  process.exitCode = 1
})
