import { BlockList, isIP } from 'node:net'
import { hostname } from 'node:os'
import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify'
import { ConnectionGuard } from '../plugins/connections/connection-guard.ts'
import type { ConnectionLimits } from '../plugins/connections/limits.ts'
import { answerUnreadableUrl, redactingSerializers } from '../plugins/redaction.ts'
import type { WorkerGroup } from '../services/worker-group.ts'
import { readCertificate } from './certificate.ts'
import type { Environment } from './environment.ts'

/** A name of 256 bytes, each of them percent-encoded. */
const MAX_PARAM_LENGTH = 768

/** The guard bounds the connections of the server. */
export interface GuardedServer {
  readonly server: FastifyInstance
  readonly guard: ConnectionGuard
}

/** Creates the server, without routes. @throws {EnvironmentError} */
export function createServer(environment: Environment, worker?: WorkerGroup): GuardedServer {
  const { logLevel, trustProxy, tls } = environment
  const guard = new ConnectionGuard(connectionLimits(environment, worker))
  const { serverFactory } = guard
  const options: FastifyServerOptions = {
    // Logging each request would cost more than publishing.
    logController: new LogController({ disableRequestLogging: true }),
    logger: {
      level: logLevel,
      serializers: redactingSerializers,
      ...(worker && { base: { pid: process.pid, hostname: hostname(), worker: worker.number } })
    },
    frameworkErrors: answerUnreadableUrl,
    serverFactory,
    // A number is the number of proxies in front of the hub.
    trustProxy: typeof trustProxy === 'number' ? (_address, hop) => hop < trustProxy : trustProxy,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // A closing server sends event sources a retryable rejection: a 503 would end them for good.
    return503OnClosing: false
  }
  if (tls === undefined) return { server: Fastify(options), guard }
  const https = { ...readCertificate(tls), allowHTTP1: true }
  return { server: Fastify({ ...options, http2: true, https } as FastifyServerOptions), guard }
}

function connectionLimits(environment: Environment, worker: WorkerGroup | undefined): ConnectionLimits {
  const { maxConnections, maxConnectionsPerAddress, maxUnreadBytes, requestTimeout, stallTimeout } = environment
  const isProxy = proxyTest(environment.trustProxy)
  const limits = { maxConnections, maxConnectionsPerAddress, maxUnreadBytes, requestTimeout, stallTimeout }
  return { ...limits, isProxy, counts: worker?.counts }
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
