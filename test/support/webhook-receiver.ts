import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import type { Test } from 'tap'
import { untilChange } from './waiting.ts'

export interface ReceivedWebhook {
  readonly id: string
  readonly path: string
  readonly body: { readonly type: string; readonly timestamp: string; readonly data: Record<string, unknown> }
}

type Respond = (response: ServerResponse, attempt: number) => void

export const SECRET = `whsec_${randomBytes(32).toString('base64')}`

const ok: Respond = (response) => response.writeHead(204).end()

/** A receiver of webhooks on a socket, which verifies each with the library of the specification. */
export class WebhookReceiver {
  /** Attempts with a valid signature, in order. */
  readonly attempts: ReceivedWebhook[] = []
  /** Requests whose signature was not valid. */
  readonly forged: string[] = []
  /** The largest number of requests that were open at once. */
  maxOpen = 0
  /** How it answers. */
  respond: Respond = ok
  readonly #secret: string
  readonly #changes = new EventEmitter()
  #server: Server | undefined
  #open = 0
  #port = 0

  private constructor(secret: string) {
    this.#secret = secret
  }

  static async start(t: Test, secret = SECRET): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(secret)
    await receiver.up()
    t.teardown(() => receiver.down())
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hooks?key=canary`
  }

  /** The first attempt of each message. */
  get messages(): ReceivedWebhook[] {
    return [...new Map([...this.attempts].reverse().map((attempt) => [attempt.id, attempt])).values()].reverse()
  }

  /** Listens, on the port that it had. */
  async up(): Promise<void> {
    const server = createServer((request, response) => {
      this.#receive(request, response).catch((error) => {
        this.forged.push(String(error))
        response.writeHead(401).end()
      })
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** Closes its port, and cuts its connections. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  until(isTrue: () => boolean, what: string): Promise<void> {
    return untilChange(this.#changes, isTrue, what, () => JSON.stringify(this.attempts))
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.maxOpen = Math.max(this.maxOpen, ++this.#open)
    response.on('close', () => this.#open--)
    const payload = await text(request)
    new Webhook(this.#secret).verify(payload, request.headers as Record<string, string>)
    const id = request.headers['webhook-id'] as string
    this.attempts.push({ id, path: request.url as string, body: JSON.parse(payload) })
    this.respond(response, this.attempts.length)
    this.#changes.emit('change')
  }
}
