import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

/** A response whose body is read as it arrives. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  readonly body: Readable
  /** Ends the connection. */
  abort(): void
}

type Headers = Readonly<Record<string, string>>

/** Sends a GET request: to a server over a socket, and to an app that does not listen by `inject()`. */
export function request(target: FastifyInstance | string, path: string, headers: Headers): Promise<Answer> {
  if (typeof target === 'string') return overSocket(new URL(path, target), headers)
  const [address] = target.addresses()
  if (address === undefined || typeof address === 'string') return injected(target, path, headers)
  const isSecure = 'https' in target.initialConfig && target.initialConfig.https !== undefined
  return overSocket(new URL(path, `${isSecure ? 'https' : 'http'}://${hostOf(address)}`), headers)
}

function hostOf({ address, port }: AddressInfo): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

async function overSocket(url: URL, headers: Headers): Promise<Answer> {
  const { request } = url.protocol === 'https:' ? https : http
  // A test server has a certificate of its own.
  const outgoing = request(url, { agent: false, headers, rejectUnauthorized: false })
  outgoing.end()
  const [body] = (await once(outgoing, 'response')) as [IncomingMessage]
  // After the response has begun, its body reports errors.
  outgoing.on('error', () => {})
  return { status: body.statusCode ?? 0, headers: body.headers, body, abort: () => outgoing.destroy() }
}

async function injected(app: FastifyInstance, url: string, headers: Headers): Promise<Answer> {
  const controller = new AbortController()
  const response = await app.inject({ url, headers, payloadAsStream: true, signal: controller.signal })
  const body = response.stream()
  return { status: response.statusCode, headers: response.headers, body, abort: () => controller.abort() }
}
