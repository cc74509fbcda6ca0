import { askForKey, credentials } from './key.js'

/** The hub's HTTP API, relative to this page, so that the page works under any prefix. */

export class ApiError extends Error {
  constructor(code, message, status) {
    super(message)
    this.code = code
    this.status = status
  }
}

const PATIENCE = 10_000

async function call(method, path, body) {
  let response
  try {
    response = await fetch(path, {
      method,
      signal: AbortSignal.timeout(PATIENCE),
      headers: { ...credentials(), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
  } catch (error) {
    throw error.name === 'TimeoutError'
      ? new ApiError('TIMEOUT', 'error.timeout', 0)
      : new ApiError('UNREACHABLE', 'error.unreachable', 0)
  }
  if (response.ok) return response.json()
  if (response.status === 401) askForKey()
  throw await refusal(response)
}

async function refusal(response) {
  const { code, message } = await response.json().catch(() => ({}))
  return new ApiError(code ?? `HTTP ${response.status}`, message ?? response.statusText, response.status)
}

const user = (name) => `users/${encodeURIComponent(name)}`

export const publish = {
  user: (name, draft) => call('POST', `${user(name)}/events`, draft),
  topic: (name, draft) => call('POST', `topics/${encodeURIComponent(name)}/events`, draft),
  everyone: (_, draft) => call('POST', 'broadcast', draft)
}

export const closeUser = (name) => call('DELETE', `${user(name)}/streams`)
export const cutStream = (id) => call('DELETE', `streams/${encodeURIComponent(id)}?reconnect=true`)
export const stats = () => call('GET', 'stats')
export const users = () => call('GET', 'users')

/**
 * A ticket for an event source, which cannot send a key. Without `user` the caller's token names the user. A key names no
 * user, so with a key the ticket is for the user `demo`.
 */
export async function ticket({ user, topics }) {
  const wish = { user, topics }
  const { ticket: made } = await call('POST', 'tickets', wish).catch((error) => {
    if (user !== undefined || error.status !== 400) throw error
    return call('POST', 'tickets', { ...wish, user: 'demo' })
  })
  return made
}

/** Rejects if the hub does not know the key; its scopes do not matter. */
export async function checkKey() {
  await call('POST', 'tickets', {}).catch((error) => {
    if (error.status !== 400 && error.status !== 403) throw error
  })
}

/**
 * Repeats a refused request with fetch, because a native EventSource does not say why it was refused.
 * Resolves to the status, and the code and message if there are any.
 */
export async function whyRefused(url) {
  const asked = new AbortController()
  try {
    const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: asked.signal })
    return response.ok ? { status: response.status } : await refusal(response)
  } catch {
    return new ApiError('UNREACHABLE', 'error.unreachable', 0)
  } finally {
    asked.abort()
  }
}
