import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An answer of the gateway itself. */
interface OwnAnswer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** The number of bytes of the next event that pass before a cut. */
const HALF_AN_EVENT = 12

/** A proxy between pages and a hub, with the faults of proxies. It serves the pages, too. */
export class Gateway {
  /** The port of the hub; a change applies to new requests. */
  target = 0
  /** Files by path: their text, and its type. */
  readonly files = new Map<string, { readonly type: string; readonly text: string }>()
  /** Requests for streams. */
  opened = 0
  readonly #server: Server
  readonly #streams = new Set<ServerResponse>()
  /** Answers to the next requests for streams, in this order. */
  readonly #answers: OwnAnswer[] = []
  #isBlackHole = false
  #isSilent = false
  #cutsNext = false

  constructor() {
    this.#server = createServer((asked, response) => this.#serve(asked, response))
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Number of open streams. */
  get streams(): number {
    return this.#streams.size
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Ends all streams, and answers the next requests like this. */
  answer(...answers: OwnAnswer[]): void {
    this.#answers.push(...answers)
    this.cut()
  }

  cut(): void {
    for (const response of this.#streams) response.destroy()
  }

  /** Cuts each stream in the middle of its next event. */
  cutNext(): void {
    this.#cutsNext = true
  }

  /** Open streams stay open, and nothing passes any more; new requests are served. */
  silence(): void {
    this.#isSilent = true
  }

  /** Ends all streams; the next request for one is never answered. */
  swallow(): void {
    this.#isBlackHole = true
    this.cut()
  }

  #serve(asked: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(asked.url ?? '/', 'http://gateway')
    const file = this.files.get(pathname)
    if (file !== undefined) return void response.writeHead(200, { 'content-type': file.type }).end(file.text)
    const isStream = pathname.endsWith('/events') && asked.method === 'GET' && !pathname.includes('/me/')
    if (isStream) {
      this.opened++
      if (this.#isBlackHole) {
        this.#isBlackHole = false
        return
      }
      const own = this.#answers.shift()
      if (own !== undefined) return void response.writeHead(own.status, own.headers).end(own.body)
      this.#isSilent = false
    }
    this.#pass(asked, response, isStream)
  }

  #pass(asked: IncomingMessage, response: ServerResponse, isStream: boolean): void {
    const { method, url, headers } = asked
    const passed = request({ host: '127.0.0.1', port: this.target, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      response.flushHeaders()
      if (!isStream) return void answer.pipe(response)
      this.#streams.add(response)
      let isSilent = false
      answer.on('data', (bytes: Buffer) => {
        isSilent ||= this.#isSilent
        if (isSilent) return
        if (!this.#cutsNext) return void response.write(bytes)
        this.#cutsNext = false
        response.write(bytes.subarray(0, HALF_AN_EVENT), () => response.destroy())
      })
      answer.on('error', () => response.destroy())
      answer.on('end', () => response.end())
      // An answer that the hub has ended itself reaches the page whole.
      answer.on('close', () => answer.complete || response.destroy())
    })
    passed.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end('Bad Gateway')))
    asked.pipe(passed)
    response.on('close', () => {
      this.#streams.delete(response)
      passed.destroy()
    })
  }
}
