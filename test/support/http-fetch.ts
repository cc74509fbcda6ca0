import { request } from 'node:http'

/**
 * A fetch over `node:http`, with backpressure. The one of Node 22 and 24 ends the process when the connection of a response
 * ends while more than 64 KiB of it wait to be read (nodejs/undici#5360), as slow handlers make them wait.
 */
export const httpFetch = ((url: string, { headers, signal }: RequestInit = {}) =>
  new Promise<Response>((resolve, reject) => {
    const sent = request(url, {
      headers: Object.fromEntries(new Headers(headers)),
      ...(signal ? { signal } : {})
    })
    sent.on('error', reject)
    sent.on('response', (answer) => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          answer.on('data', (bytes) => {
            controller.enqueue(bytes)
            if ((controller.desiredSize ?? 0) <= 0) answer.pause()
          })
          answer.on('end', () => controller.close())
          answer.on('error', (error) => controller.error(error))
        },
        pull: () => void answer.resume()
      })
      const type = answer.headers['content-type'] ?? ''
      const status = answer.statusCode ?? 0
      resolve(new Response(status === 204 ? null : body, { status, headers: { 'content-type': type } }))
    })
    sent.end()
  })) as typeof fetch
