import { type AddressInfo, connect, type Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import { ConnectionGuard } from '../../plugins/connections/connection-guard.ts'
import type { ConnectionLimits } from '../../plugins/connections/limits.ts'
import { noRefusals, type Refused } from '../../services/hub/refusals.ts'
import { FakeClock } from './fake-clock.ts'
import { selfSigned } from './self-signed.ts'

const PATIENCE = 10_000
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A server behind a guard, on a clock that the test advances. */
export class GuardedServer {
  readonly clock = new FakeClock()
  readonly refused: Refused = noRefusals()
  readonly errors: string[] = []
  readonly app: FastifyInstance
  /** The connections that the server has accepted. */
  readonly sockets = new Set<Socket>()

  private constructor(limits: ConnectionLimits, protocol: 'http' | 'tls') {
    const guard = new ConnectionGuard({ clock: this.clock, ...limits })
    guard.onRefusal = (reason) => this.refused[reason]++
    const { key, cert } = selfSigned()
    const secure = protocol === 'tls' ? { http2: true, https: { key, cert, allowHTTP1: true } } : {}
    const write = (line: string) => this.errors.push(line)
    const logger = { level: 'error', stream: { write } }
    this.app = Fastify({ logger, serverFactory: guard.serverFactory, ...secure } as FastifyServerOptions)
    this.app.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
    })
  }

  static async listen(
    t: Test,
    limits: ConnectionLimits,
    routes: (app: FastifyInstance) => void,
    protocol: 'http' | 'tls' = 'http'
  ): Promise<GuardedServer> {
    const server = new GuardedServer(limits, protocol)
    routes(server.app)
    t.teardown(() => {
      for (const socket of server.sockets) socket.destroy()
      return server.app.close()
    })
    await server.app.listen({ host: '127.0.0.1', port: 0 })
    return server
  }

  get port(): number {
    return (this.app.server.address() as AddressInfo).port
  }

  async connect(localAddress = '127.0.0.1'): Promise<Socket> {
    const socket = connect({ port: this.port, host: '127.0.0.1', localAddress, noDelay: true })
    await new Promise<void>((resolve) => {
      // A refused connection may be reset before its socket reports that it is open.
      socket.on('error', () => resolve()).once('connect', resolve)
    })
    return socket
  }

  /** Advances time in steps, like a real clock, so that the effects of each step can happen. */
  async pass(milliseconds: number): Promise<void> {
    for (let step = 0; step < milliseconds; step += 1_000) {
      this.clock.advance(1_000)
      for (let turns = 0; turns < 5; turns++) await turn()
    }
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    const until = performance.now() + PATIENCE
    while (!isTrue()) {
      if (performance.now() > until) throw new Error(`waited in vain for ${what}`)
      await turn()
    }
  }

  /** Like `until`, while time passes. */
  async untilPassing(isTrue: () => boolean, what: string): Promise<void> {
    const until = performance.now() + PATIENCE
    while (!isTrue()) {
      if (performance.now() > until) throw new Error(`waited in vain for ${what}`)
      await this.pass(1_000)
    }
  }
}

/** All text up to the end of the connection, however it ends. */
export function untilEnd(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  return new Promise((resolve) => {
    if (socket.destroyed) resolve(text)
    for (const event of ['end', 'error', 'close']) socket.once(event, () => resolve(text))
  })
}
