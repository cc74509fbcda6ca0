import { get, type IncomingMessage } from 'node:http'
import t from 'tap'
import { WireBytes } from '../../services/events/wire-bytes.ts'
import { buildHub } from '../support/build.ts'
import { RawSocket } from '../support/raw-socket.ts'

const REQUEST = 'GET /events?user=alice HTTP/1.1\r\nHost: hub\r\n\r\n'

t.test('a chunk begins with its length in hexadecimal digits', async (t) => {
  for (const text of ['x', '☃', 'é'.repeat(255), 'y'.repeat(4_096), 'z'.repeat(100_000)]) {
    const { chunk, plain } = new WireBytes(text)
    t.equal(String(plain), text)
    t.equal(String(chunk), `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
    t.equal(plain.buffer, chunk.buffer, 'both are the same memory')
  }
})

t.test('over HTTP/1.1 each write is one chunk, and the last chunk ends the body', async (t) => {
  const host = await buildHub(t)
  await host.listen()
  const raw = await RawSocket.open(host.port)
  raw.send(REQUEST)
  await raw.until(() => raw.body.includes('hub.welcome'), 'the welcome')
  t.match(raw.head, /^transfer-encoding: chunked$/im)
  t.equal(raw.head.match(/^transfer-encoding/gim)?.length, 1)
  raw.text = ''
  const { id } = await host.app.sse.send('alice', { data: 'snow ☃' })
  const block = `data: snow ☃\nid: ${id}\n\n`
  await raw.until(() => raw.text.endsWith('\r\n'), 'an event')
  t.equal(raw.text, `${Buffer.byteLength(block).toString(16)}\r\n${block}\r\n`)
  await host.app.sse.disconnect('alice')
  await raw.closed()
  t.ok(raw.text.endsWith('\n\n\r\n0\r\n\r\n'), 'one last chunk')
})

t.test('an HTTP client finds an ended stream complete, for every close reason', async (t) => {
  const host = await buildHub(t)
  const url = await host.listen()
  for (const end of [
    () => host.app.sse.disconnect('alice'),
    () => host.app.sse.disconnect('alice', { reconnect: true }),
    () => host.app.close()
  ]) {
    const opened = host.streams.length
    const response = await new Promise<IncomingMessage>((resolve) => get(`${url}/events?user=alice`, resolve))
    response.resume()
    const ended = new Promise((resolve) => response.once('close', resolve))
    await host.untilOpened(opened + 1)
    await end()
    await ended
    t.ok(response.complete)
  }
})
