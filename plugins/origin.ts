import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { ForeignHostError, ForeignOriginError } from '../services/errors.ts'

/**
 * Refuses requests of pages of other origins, unless the origin is on the list. A browser sends them with the user's cookies
 * and from the user's network, and CORS only keeps the page from reading the response. Clients other than browsers send
 * neither `Origin` nor `Sec-Fetch-Site`, and pass.
 * @throws {ForeignOriginError}
 */
export function checkOrigin(request: FastifyRequest, allowed: readonly string[]): void {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined && allowed.includes(origin)) return
  // The browser sets it, and no page can change it. It is right behind proxies that change the host name, too.
  if (site === 'same-origin' || site === 'none') return
  if (site === undefined && (origin === undefined || isOwn(origin, request))) return
  throw new ForeignOriginError()
}

/**
 * Refuses requests for names other than those of this machine. A foreign page can resolve its own name to 127.0.0.1 (DNS
 * rebinding), and then has the same origin as a hub that answers to any name.
 * @throws {ForeignHostError}
 */
export function checkHost(request: FastifyRequest): void {
  const host = hostOf(request)
  if (host === undefined || !isLoopbackHost(host)) throw new ForeignHostError()
}

/** The host as the client sent it, without regard to headers of proxies. */
function hostOf(request: FastifyRequest): string | undefined {
  return request.headers.host ?? (request.headers[':authority'] as string | undefined)
}

/** Whether the origin is the requested host, as the client sent it or as a trusted proxy forwards it. */
function isOwn(origin: string, request: FastifyRequest): boolean {
  return isSameHost(origin, hostOf(request)) || isSameHost(origin, request.host)
}

function isSameHost(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false
  const { protocol, host: written } = new URL(origin)
  // An `Origin` omits the default port of its scheme; a `Host` may contain it.
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === written
}

function isLoopbackHost(host: string): boolean {
  const [, name = ''] = /^(\[[0-9a-f:]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(host) ?? []
  const lower = name.toLowerCase()
  if (lower === 'localhost' || lower.endsWith('.localhost') || lower === '[::1]') return true
  return isIP(lower) === 4 && lower.startsWith('127.')
}
