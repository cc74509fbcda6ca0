import { once } from 'node:events'
import { connect } from 'node:net'
import { stamped } from './event-sources.mjs'
import { percentile } from './statistics.mjs'
import { now, until } from './time.mjs'

/** A keep-alive connection with one request at a time. */
export class Publisher {
  #socket
  #headers
  #text = ''
  #answer

  static async open(port, headers) {
    const publisher = new Publisher(connect({ port, host: '127.0.0.1', noDelay: true }), headers)
    await once(publisher.#socket, 'connect')
    return publisher
  }

  constructor(socket, headers) {
    this.#socket = socket
    this.#headers = Object.entries({ 'content-type': 'application/json', ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')
    socket.on('data', (chunk) => this.#take(chunk.latin1Slice()))
    socket.on('error', (error) => this.#answer?.reject(error))
    socket.on('close', () => this.#answer?.reject(new Error('a publisher was cut')))
  }

  post(path, body) {
    this.#socket.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${this.#headers}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    )
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject }
    })
  }

  close() {
    this.#socket.destroy()
  }

  #take(text) {
    this.#text += text
    const head = this.#text.indexOf('\r\n\r\n')
    if (head === -1) return
    const length = Number(/content-length: (\d+)/i.exec(this.#text)?.[1] ?? 0)
    if (this.#text.length < head + 4 + length) return
    const answer = this.#text
    this.#text = ''
    if (answer[9] === '2') this.#answer.resolve()
    else
      this.#answer.reject(
        new Error(`a publish was answered ${answer.slice(9, 12)}: ${answer.slice(head + 4, head + 300)}`)
      )
  }
}

/** The body of one request: the payload, or a batch of it, with the time; `#` becomes the next user. */
function bodyOf(payload, batch, number, users, time) {
  const stampedPayload = stamped(payload, time)
  if (batch === 1) return stampedPayload.replace('#', String(number % users))
  const drafts = Array.from({ length: batch }, (_, at) =>
    stampedPayload.replace('#', String((number * batch + at) % users))
  )
  return `[${drafts.join(',')}]`
}

/**
 * Publishes with `inFlight` concurrent requests for `milliseconds`, or until `total`. With `delivered` each publisher also
 * waits for that promise, which resolves when all streams have the events.
 */
export async function publish(
  { port, inFlight, path, headers, payload, milliseconds, total, users = 1, batch = 1 },
  delivered
) {
  const publishers = await Promise.all(Array.from({ length: inFlight }, () => Publisher.open(port, headers)))
  const end = now() + (milliseconds ?? Number.POSITIVE_INFINITY)
  let published = 0
  try {
    await Promise.all(
      publishers.map(async (publisher) => {
        while (now() < end && published < (total ?? Number.POSITIVE_INFINITY)) {
          const number = published++
          await publisher.post(path.replace('#', String(number % users)), bodyOf(payload, batch, number, users, now()))
          await delivered?.(published)
        }
      })
    )
  } finally {
    for (const publisher of publishers) publisher.close()
  }
  return published
}

/**
 * Publishes at a rate, without waiting for answers. Each event has the time at which it was due, so that its latency
 * includes every delay. Ends when `isEnough` returns true.
 */
export async function publishAt({ port, rate, path, payload, milliseconds, users = 1 }, isEnough) {
  const idle = await Promise.all(Array.from({ length: 32 }, () => Publisher.open(port)))
  const all = new Set(idle)
  const lateness = []
  const answers = []
  const begun = now()
  const total = Math.ceil((rate * milliseconds) / 1000)
  const publishOne = async (number, due) => {
    const publisher = idle.pop() ?? (await Publisher.open(port))
    all.add(publisher)
    await publisher.post(path.replace('#', String(number % users)), stamped(payload, due))
    idle.push(publisher)
  }
  for (let number = 0; number < total && !isEnough(); number++) {
    const due = begun + (number / rate) * 1000
    await until(due)
    lateness.push(now() - due)
    answers.push(publishOne(number, due).catch((error) => error))
  }
  const failure = (await Promise.all(answers)).find((answer) => answer instanceof Error)
  for (const publisher of all) publisher.close()
  if (failure !== undefined) throw failure
  return { published: answers.length, lateness: percentile(lateness, 0.99) }
}

/** A publish of JSON lines over one connection: as many lines are on their way as the window allows. */
class LinePublisher {
  #socket
  #isAnswered = false
  #last = ''
  #onReceipts

  constructor(port, path, onReceipts) {
    this.#onReceipts = onReceipts
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (chunk) => this.#take(chunk.latin1Slice()))
    this.#socket.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n`
    )
  }

  send(lines) {
    this.#socket.write(`${Buffer.byteLength(lines).toString(16)}\r\n${lines}\r\n`)
  }

  close() {
    this.#socket.destroy()
  }

  #take(chunk) {
    if (!this.#isAnswered && chunk[9] !== '2') throw new Error(`lines were answered ${chunk.slice(9, 300)}`)
    this.#isAnswered = true
    const text = this.#last + chunk
    if (text.includes('"statusCode"')) throw new Error(`a line was refused: ${text.slice(0, 300)}`)
    this.#last = text.at(-1) ?? ''
    let receipts = 0
    for (let at = text.indexOf('}\n'); at !== -1; at = text.indexOf('}\n', at + 2)) receipts++
    if (receipts > 0) this.#onReceipts(receipts)
  }
}

/** Publishes JSON lines for `milliseconds` over `inFlight` connections, each with up to `window` lines without a receipt. */
export async function publishLines({ port, inFlight, path, payload, milliseconds, users = 1, window }) {
  const end = now() + milliseconds
  let published = 0
  const linesOf = (count) => {
    const time = now()
    let lines = ''
    for (let at = 0; at < count; at++) lines += `${stamped(payload, time).replace('#', String(published++ % users))}\n`
    return lines
  }
  await Promise.all(
    Array.from(
      { length: inFlight },
      () =>
        new Promise((resolve) => {
          let open = window
          const publisher = new LinePublisher(port, path, (receipts) => {
            open -= receipts
            if (now() < end) {
              open += receipts
              publisher.send(linesOf(receipts))
            } else if (open === 0) {
              publisher.close()
              resolve()
            }
          })
          publisher.send(linesOf(window))
        })
    )
  )
  return published
}
