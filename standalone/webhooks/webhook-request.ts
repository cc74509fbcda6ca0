import http from 'node:http'
import https from 'node:https'

/** The response of a receiver, without its body. */
export interface WebhookResponse {
  readonly status: number
  /** The delay that `Retry-After` asks for, in milliseconds. */
  readonly retryAfter: number | undefined
}

export interface WebhookReceiver {
  readonly url: URL
  /** How long a receiver may take to respond, in milliseconds. */
  readonly timeout: number
}

/** A response body beyond this size, or this duration in milliseconds, ends the connection. */
const MAX_BODY_BYTES = 65_536
const MAX_BODY_TIME = 1_000
const MAX_HEADER_BYTES = 16_384

/** Sends requests to one URL. It follows no redirect, and discards response bodies. */
export class WebhookRequests {
  readonly #receiver: WebhookReceiver
  readonly #client: typeof http | typeof https
  readonly #agent: http.Agent

  constructor(receiver: WebhookReceiver) {
    this.#receiver = receiver
    this.#client = receiver.url.protocol === 'https:' ? https : http
    this.#agent = new this.#client.Agent({ keepAlive: true, maxFreeSockets: 1 })
  }

  /** @throws {Error} with a code, when the receiver did not respond in time. */
  post(headers: Readonly<Record<string, string>>, body: string): Promise<WebhookResponse> {
    const { url, timeout } = this.#receiver
    return new Promise((resolve, reject) => {
      const bytes = Buffer.from(body)
      const request = this.#client.request(url, {
        method: 'POST',
        agent: this.#agent,
        maxHeaderSize: MAX_HEADER_BYTES,
        headers: {
          'user-agent': 'fastify-sse-hub',
          'content-type': 'application/json',
          'content-length': bytes.length,
          ...headers
        }
      })
      // Real time, not the hub's clock: it bounds a socket.
      const timer = setTimeout(() => request.destroy(timedOut(timeout)), timeout)
      request.on('error', reject)
      request.on('close', () => {
        clearTimeout(timer)
        reject(lost())
      })
      request.on('response', (response) => {
        clearTimeout(timer)
        discard(response)
        resolve({ status: response.statusCode ?? 0, retryAfter: secondsOf(response.headers['retry-after']) })
      })
      request.end(bytes)
    })
  }

  /** Ends requests in flight. */
  close(): void {
    this.#agent.destroy()
  }
}

function discard(response: http.IncomingMessage): void {
  let bytes = 0
  const timer = setTimeout(() => response.destroy(), MAX_BODY_TIME)
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) response.destroy()
  })
  response.on('close', () => clearTimeout(timer))
  // The status has arrived: the rest of the response does not matter.
  response.on('error', () => undefined)
}

function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : undefined
}

function timedOut(timeout: number): Error {
  return Object.assign(new Error(`no response within ${timeout} ms`), { code: 'ETIMEDOUT' })
}

function lost(): Error {
  return Object.assign(new Error('the connection was closed before a response'), { code: 'ECONNRESET' })
}
