import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { ForeignHostError, ForeignOriginError } from '../services/errors.ts'

/**
 * Refuses what a page of another origin has sent, unless its origin is on the list: a browser adds the user's cookies, and
 * his place in the network, to whatever any page asks for, and CORS only keeps the page from reading the answer. Who is no
 * browser says neither `Origin` nor `Sec-Fetch-Site`, and is let through.
 * @throws {ForeignOriginError}
 */
export function checkOrigin(request: FastifyRequest, allowed: readonly string[]): void {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined && allowed.includes(origin)) return
  // The browser says it, and no page can change it; it holds behind proxies that change the host's name, too.
  if (site === 'same-origin' || site === 'none') return
  if (site === undefined && (origin === undefined || isOwn(origin, request))) return
  throw new ForeignOriginError()
}

/**
 * Refuses what was not sent to a name of this machine. A foreign page can have its own name lead to 127.0.0.1, and then is of
 * the same origin as a hub that answers by any name.
 * @throws {ForeignHostError}
 */
export function checkHost(request: FastifyRequest): void {
  const host = hostOf(request)
  if (host === undefined || !isLoopbackHost(host)) throw new ForeignHostError()
}

/** What the client has written itself, whatever a proxy says besides. */
function hostOf(request: FastifyRequest): string | undefined {
  return request.headers.host ?? (request.headers[':authority'] as string | undefined)
}

/** By the name that was asked for, or by that which a proxy, if it is trusted, says was asked for. */
function isOwn(origin: string, request: FastifyRequest): boolean {
  return isSameHost(origin, hostOf(request)) || isSameHost(origin, request.host)
}

function isSameHost(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false
  const { protocol, host: written } = new URL(origin)
  // An `Origin` leaves out the port that its scheme has anyway; a `Host` need not.
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === written
}

function isLoopbackHost(host: string): boolean {
  const [, name = ''] = /^(\[[0-9a-f:]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(host) ?? []
  const lower = name.toLowerCase()
  if (lower === 'localhost' || lower.endsWith('.localhost') || lower === '[::1]') return true
  return isIP(lower) === 4 && lower.startsWith('127.')
}
