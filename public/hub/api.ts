import { authorization } from '../state/credentials.ts'
import type { Access, Draft, History, Inbox, InspectedStream, OnlinePage, Receipt, Settings, Stats } from './types.ts'

/** The base of the HTTP API, relative to the page, so that the console works below any prefix. */
export const API_BASE = new URL(
  document.querySelector<HTMLMetaElement>('meta[name=sse-hub-api]')?.content ?? './',
  document.baseURI
)

/** `status` 0: there was no answer, so the hub may or may not have done what was requested. */
export class ApiError extends Error {
  readonly code: string
  readonly status: number

  constructor(code: string, message: string, status: number) {
    super(message)
    this.code = code
    this.status = status
  }
}

const PATIENCE = 10_000

interface Call {
  readonly body?: string
  /** In milliseconds; 0 waits for as long as the browser does. */
  readonly patience?: number
}

export async function call<Answer>(method: string, path: string, { body, patience = PATIENCE }: Call = {}) {
  const response = await request(method, path, { body, patience })
  const text = await response.text().catch(unreachable)
  if (response.ok) return parsed<Answer>(text, response)
  const { code, message } = parsedOr<{ code?: string; message?: string }>(text, {})
  throw new ApiError(code ?? `HTTP ${response.status}`, message ?? response.statusText, response.status)
}

async function request(method: string, path: string, { body, patience }: Call): Promise<Response> {
  const init: RequestInit = { method, cache: 'no-store', headers: { ...authorization() } }
  if (body !== undefined) {
    init.body = body
    init.headers = { ...init.headers, 'content-type': 'application/json' }
  }
  if (patience) init.signal = AbortSignal.timeout(patience)
  return fetch(new URL(path, API_BASE), init).catch(unreachable)
}

function unreachable(error: unknown): never {
  if ((error as Error).name === 'TimeoutError') throw new ApiError('TIMEOUT', '', 0)
  throw new ApiError('UNREACHABLE', '', 0)
}

/** A proxy may answer HTML with 200. */
function parsed<Answer>(text: string, { status }: Response): Answer {
  try {
    return JSON.parse(text) as Answer
  } catch {
    throw new ApiError('NOT_JSON', '', status)
  }
}

function parsedOr<Answer>(text: string, otherwise: Answer): Answer {
  try {
    return (JSON.parse(text) ?? otherwise) as Answer
  } catch {
    return otherwise
  }
}

export type Target = { readonly kind: 'user' | 'topic'; readonly name: string } | { readonly kind: 'everyone' }

const inPath = encodeURIComponent

/** The path of a target's events: `POST` publishes there, and `GET` reads their history. */
export function pathOf(target: Target): string {
  if (target.kind === 'everyone') return 'broadcast'
  return `${target.kind}s/${inPath(target.name)}/events`
}

export const publish = (target: Target, draft: Draft, patience?: number) =>
  call<Receipt>('POST', pathOf(target), { body: JSON.stringify(draft), patience })
export const history = (target: Target, page: { after?: string; limit?: number }) =>
  call<History>('GET', `${pathOf(target)}?${query(page)}`)
export const inbox = (user: string, page: { before?: string; limit?: number }) =>
  call<Inbox>('GET', `users/${inPath(user)}/inbox?${query(page)}`)
export const retract = (user: string, id: string) =>
  call<{ retracted: boolean }>('DELETE', `users/${inPath(user)}/inbox/${inPath(id)}`)
export const closeUser = (user: string, reconnect = false) =>
  call<{ closed: number }>('DELETE', `users/${inPath(user)}/streams?${query({ reconnect })}`)
export const closeStream = (id: string, reconnect = false) =>
  call<{ closed: number }>('DELETE', `streams/${inPath(id)}?${query({ reconnect })}`)
export const streamsOf = (user: string) => call<{ streams: InspectedStream[] }>('GET', `users/${inPath(user)}/streams`)
export const onlineUsers = (page: { after?: string; limit?: number }) => call<OnlinePage>('GET', `users?${query(page)}`)
export const topicListeners = (topic: string) => call<{ streams: number }>('GET', `topics/${inPath(topic)}`)
export const stats = () => call<Stats>('GET', 'stats', { patience: 4_000 })
export const settings = () => call<Settings>('GET', 'settings')
export const access = () => call<Access>('GET', 'access', { patience: 4_000 })
export const issueTicket = (wish: { user?: string; topics?: readonly string[]; ttl?: number }) =>
  call<{ ticket: string; expiresAt: string }>('POST', 'tickets', { body: JSON.stringify(wish) })
export const revokeTickets = (user: string) => call<{ revoked: number }>('DELETE', `users/${inPath(user)}/tickets`)

function query(fields: Record<string, string | number | boolean | undefined>): URLSearchParams {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== '')
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
}
