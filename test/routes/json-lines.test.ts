import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { buildRoutes, failOnWarnings } from '../support/build.ts'

failOnWarnings(t)

const TYPE = 'application/x-ndjson'
type Routes = Awaited<ReturnType<typeof buildRoutes>>

/** A streaming publish: lines are written one by one, and answers read. */
class Publishing {
  readonly request: ClientRequest
  readonly #response: Promise<IncomingMessage>
  #answers: AsyncIterator<string> | undefined

  constructor(url: string, headers: Record<string, string> = {}) {
    this.request = httpRequest(url, { method: 'POST', headers: { 'content-type': TYPE, ...headers } })
    this.#response = once(this.request, 'response').then(([response]) => response as IncomingMessage)
    this.request.flushHeaders()
  }

  send(...lines: unknown[]): void {
    for (const line of lines) this.request.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`)
  }

  async answer(): Promise<Record<string, unknown>> {
    this.#answers ??= createInterface(await this.#response)[Symbol.asyncIterator]()
    return JSON.parse((await this.#answers.next()).value)
  }
}

async function listening(t: Test, options?: Parameters<typeof buildRoutes>[1]): Promise<{ host: Routes; url: string }> {
  const host = await buildRoutes(t, options)
  return { host, url: `${await host.listen()}/hub/events` }
}

const post = (host: Routes, lines: readonly unknown[], headers: Record<string, string> = {}, path = '/events') =>
  host.app.inject({
    method: 'POST',
    url: `/hub${path}`,
    headers: { 'content-type': TYPE, ...headers },
    payload: lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
  })

const answersOf = (payload: string): Record<string, unknown>[] =>
  payload
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

const toAlice = (data: unknown, rest: object = {}) => ({ to: { users: ['alice'] }, data, ...rest })

t.test('each line is published, and its receipt comes before the next line is sent', async (t) => {
  const { host, url } = await listening(t)
  const alice = await host.client(`${url}?user=alice`)
  const publishing = new Publishing(url)
  const ids: unknown[] = []
  for (let at = 0; at < 20; at++) {
    publishing.send(toAlice(`line ${at}`))
    const { id, streams } = await publishing.answer()
    t.equal(streams, 1)
    ids.push(id)
  }
  publishing.request.end()
  t.same(
    (await alice.count(20)).map(({ data }) => data),
    Array.from({ length: 20 }, (_, at) => `line ${at}`)
  )
  t.equal(new Set(ids).size, 20)
})

t.test('lines are accepted and refused each for itself, and answered in order', async (t) => {
  const host = await buildRoutes(t)
  const keyed = (data: string) => toAlice(data, { idempotencyKey: 'k' })
  const response = await post(host, [
    toAlice('a'),
    'no JSON',
    '',
    { to: {}, data: 'x' },
    toAlice('b', { event: 'hub.read' }),
    '   ',
    toAlice('c', { unknown: 1 }),
    keyed('d'),
    keyed('e'),
    keyed('d'),
    '[1]',
    `{"to":{"users":["alice"]},"data":1,"__proto__":{"a":1}}`,
    `${'['.repeat(200)}${']'.repeat(200)}`,
    toAlice('f')
  ])
  t.equal(response.statusCode, 200)
  t.match(response.headers['content-type'], TYPE)
  const answers = answersOf(response.payload)
  t.same(
    answers.map(({ statusCode = 'accepted' }) => statusCode),
    ['accepted', 400, 400, 400, 400, 'accepted', 422, 'accepted', 400, 400, 400, 'accepted']
  )
  t.match(answers[1], { code: 'SSE_HUB_ERR_INVALID_REQUEST', error: 'Bad Request', message: /JSON/ })
  t.equal(answers[7]?.id, answers[5]?.id, 'the receipt of the first use of the key')
  const { events } = await host.app.sse.history({ user: 'alice' })
  t.same(
    events.map(({ data }) => data),
    ['a', 'd', 'f']
  )
})

t.test('the key of the header counts for every line, with the number of the line', async (t) => {
  const host = await buildRoutes(t)
  const lines = [toAlice('a'), 'no JSON', toAlice('b')]
  const headers = { 'idempotency-key': 'upload' }
  const first = answersOf((await post(host, lines, headers)).payload)
  t.same(answersOf((await post(host, lines, headers)).payload), first)
  t.equal((await host.app.sse.history({ user: 'alice' })).events.length, 2)
})

t.test('access is refused before a line is read, and for each line by its target', async (t) => {
  const authorize = async (request: { headers: Record<string, unknown> }, action: { target?: { users?: unknown } }) =>
    request.headers['x-publisher'] === 'yes' && JSON.stringify(action.target?.users ?? ['alice']) === '["alice"]'
  const { host, url } = await listening(t, { routes: { authorize: authorize as never } })
  const publishing = new Publishing(url)
  const [response] = (await once(publishing.request, 'response')) as [IncomingMessage]
  t.equal(response.statusCode, 403, 'with an open body')
  publishing.request.destroy()
  const allowed = await post(host, [toAlice('a'), { to: { users: ['bob'] }, data: 'b' }, toAlice('c')], {
    'x-publisher': 'yes'
  })
  t.same(
    answersOf(allowed.payload).map(({ statusCode = 'accepted' }) => statusCode),
    ['accepted', 403, 'accepted']
  )
})

t.test('a line that is too long is refused without being kept, and the next one is read', async (t) => {
  const { host, url } = await listening(t)
  const publishing = new Publishing(url)
  const max = Math.max(1_048_576, 6 * host.app.sse.options.maxEventBytes + 16_384)
  publishing.request.write('"')
  for (let sent = 0; sent <= max; sent += 65_536) publishing.request.write('x'.repeat(65_536))
  publishing.send('"', toAlice('after'))
  t.match(await publishing.answer(), { statusCode: 413, code: 'SSE_HUB_ERR_LINE_TOO_LARGE' })
  t.match(await publishing.answer(), { streams: 0 })
  publishing.request.end(JSON.stringify(toAlice('without a newline')))
  t.match(await publishing.answer(), { streams: 0 })
})

t.test('a client that reads no answers is not read either, and loses none', async (t) => {
  const { host, url } = await listening(t)
  const request = httpRequest(url, { method: 'POST', headers: { 'content-type': TYPE } })
  request.on('error', () => {})
  const responded = once(request, 'response')
  const line = `${JSON.stringify(toAlice('x'.repeat(100)))}\n`
  const TOTAL = 400_000
  let sent = 0
  // Until the sockets of both directions are full, and the hub has stopped reading.
  for (; sent < TOTAL; sent += 1_000) {
    if (request.write(line.repeat(1_000))) continue
    const isDrained = await Promise.race([
      once(request, 'drain').then(() => true),
      new Promise<false>((resolve) => setTimeout(() => resolve(false), 500))
    ])
    if (!isDrained) break
  }
  t.ok(sent < TOTAL, `${sent} lines were taken without an answer being read`)
  const published = host.app.sse.stats().published
  t.ok(published < TOTAL)
  const [response] = (await responded) as [IncomingMessage]
  request.end()
  let answers = 0
  for await (const _ of createInterface(response)) answers++
  t.equal(answers, host.app.sse.stats().published)
})

t.test('a client that leaves in the middle of a line publishes the lines before', async (t) => {
  const { host, url } = await listening(t)
  const publishing = new Publishing(url)
  publishing.request.on('error', () => {})
  publishing.send(toAlice('a'), toAlice('b'))
  await publishing.answer()
  await publishing.answer()
  publishing.request.write('{"to":{"users":["al')
  publishing.request.destroy()
  const { events } = await host.app.sse.history({ user: 'alice' })
  t.equal(events.length, 2)
})

t.test('other routes refuse lines, and this one refuses other types', async (t) => {
  const host = await buildRoutes(t)
  for (const path of ['/broadcast', '/users/alice/events', '/topics/news/events']) {
    const response = await post(host, [{ data: 'x' }], {}, path)
    t.equal(response.statusCode, 415, path)
  }
  t.equal((await post(host, [toAlice('a')], { 'content-type': 'text/plain' })).statusCode, 415)
  const batch = await host.app.inject({ method: 'POST', url: '/hub/events', payload: [toAlice('a')] })
  t.equal(batch.statusCode, 202)
  t.equal((await host.app.inject({ method: 'POST', url: '/hub/events', payload: [{ data: 'a' }] })).statusCode, 400)
})
