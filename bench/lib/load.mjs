// The load: event sources on bare sockets, and publishers on kept-alive ones. A process of its own, told what to do over the
// process channel, so that it can have a core of its own.
import { connect } from 'node:net'
import { performance } from 'node:perf_hooks'

/** Stands once in every payload: counting it counts events, however they were joined or split on the way. */
const MARK = 0x7e
const now = () => performance.timeOrigin + performance.now()

const streams = []
let publishers = []
let received = 0
let bytes = 0
let latencies = []
let latencyEvery = 0
let lastArrival = 0

const handlers = {
  /** Opens streams; resolves when each has got its first bytes. */
  async open({ port, count, path, from = 0, headers = '', batch = 200, slow = false }) {
    const begun = now()
    for (let at = 0; at < count; at += batch) {
      const some = Array.from({ length: Math.min(batch, count - at) }, (_, index) => openStream(port, path, from + at + index, headers, slow))
      await Promise.all(some)
    }
    return { took: now() - begun }
  },
  closeAll() {
    for (const { socket } of streams.splice(0)) socket.destroy()
    return {}
  },
  cut({ count }) {
    for (const { socket } of streams.splice(0, count)) socket.destroy()
    return {}
  },
  /** The last id that each stream got, to come back with. */
  reset({ measure = 0 } = {}) {
    received = 0
    bytes = 0
    latencies = []
    latencyEvery = measure
    for (const stream of streams) stream.count = 0
    return {}
  },
  counts() {
    const each = streams.filter(({ slow }) => !slow).map(({ count }) => count)
    return { received, bytes, least: Math.min(...each), most: Math.max(...each), lastArrival, latencies, cpu: cpu() }
  },
  /** Publishes as fast as answers come, with so many requests in flight, for so long. */
  async publish({ port, inFlight, path, payload, milliseconds, users = 1, total = Number.POSITIVE_INFINITY }) {
    publishers = await Promise.all(Array.from({ length: inFlight }, () => openPublisher(port)))
    const begun = now()
    const until = begun + milliseconds
    let published = 0
    await Promise.all(
      publishers.map(async (publisher) => {
        while (now() < until && published < total) {
          const at = published++
          await publisher.post(path.replace('#', String(at % users)), stamped(payload))
        }
      })
    )
    const took = now() - begun
    for (const publisher of publishers) publisher.socket.destroy()
    return { published, took }
  },
  /** Publishes at a rate, whether or not answers come: what waits counts. */
  async publishAt({ port, rate, path, payload, milliseconds, users = 1 }) {
    const idle = await Promise.all(Array.from({ length: 32 }, () => openPublisher(port)))
    const all = [...idle]
    const begun = now()
    let published = 0
    while (now() < begun + milliseconds) {
      const due = Math.floor(((now() - begun) / 1000) * rate)
      for (; published < due; published++) {
        const publisher = idle.pop() ?? (await openPublisher(port).then((made) => (all.push(made), made)))
        const scheduled = begun + (published / rate) * 1000
        publisher.post(path.replace('#', String(published % users)), stamped(payload, scheduled)).then(() => idle.push(publisher))
      }
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    const took = now() - begun
    await new Promise((resolve) => setTimeout(resolve, 500))
    for (const publisher of all) publisher.socket.destroy()
    return { published, took }
  },
  pause({ count }) {
    for (const { socket } of streams.slice(0, count)) socket.pause()
    return {}
  }
}

function cpu() {
  const { user, system } = process.cpuUsage()
  return user + system
}

const stamped = (payload, at = now()) => payload.replace('@', at.toFixed(2).padStart(20, '0'))

function openStream(port, path, index, headers, slow) {
  return new Promise((resolve, reject) => {
    const stream = { socket: undefined, count: 0, slow }
    let isOpen = false
    const onread = {
      buffer: slow ? Buffer.alloc(1024) : shared,
      callback(length, buffer) {
        if (!isOpen) {
          isOpen = true
          resolve(stream)
          if (slow) return false
        }
        bytes += length
        count(stream, buffer, length)
        return true
      }
    }
    const host = `127.0.0.${1 + (index % 200)}`
    const socket = connect({ port, host: '127.0.0.1', localAddress: host, onread })
    stream.socket = socket
    socket.on('error', reject)
    socket.write(`GET ${path.replace('#', String(index))} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n${headers}\r\n`)
    streams.push(stream)
  })
}

// Bytes are counted and forgotten: one buffer for all sockets.
const shared = Buffer.alloc(262_144)

function count(stream, buffer, length) {
  let at = buffer.indexOf(MARK)
  while (at !== -1 && at < length) {
    received++
    stream.count++
    if (latencyEvery > 0 && received % latencyEvery === 0 && at + 21 <= length) {
      const sent = Number(buffer.latin1Slice(at + 1, at + 21))
      if (sent > 0) latencies.push(now() - sent)
    }
    at = buffer.indexOf(MARK, at + 1)
  }
  lastArrival = now()
}

function openPublisher(port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let answered
    let text = ''
    socket.setNoDelay(true)
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      text += chunk.latin1Slice()
      const head = text.indexOf('\r\n\r\n')
      if (head === -1) return
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
      if (text.length < head + 4 + length) return
      const status = text.slice(9, 12)
      text = ''
      if (!status.startsWith('2')) throw new Error(`a publish was answered ${status}`)
      answered()
    })
    socket.on('connect', () =>
      resolve({
        socket,
        post(path, body) {
          return new Promise((done) => {
            answered = done
            socket.write(
              `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
            )
          })
        }
      })
    )
  })
}

process.on('message', async ({ id, call, ...rest }) => {
  try {
    process.send({ id, ...(await handlers[call](rest)) })
  } catch (error) {
    process.send({ id, error: error.stack })
  }
})
process.on('disconnect', () => process.exit(0))
process.send({ id: 0 })
