import {
  type Attributes,
  type Context,
  context,
  ProxyTracerProvider,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace
} from '@opentelemetry/api'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SamplingDecision,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler
} from '@opentelemetry/sdk-trace-node'
import Fastify from 'fastify'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { MemoryLog } from '../../services/event-log/memory/memory-log.ts'
import { resolveRetention } from '../../services/event-log/retention.ts'
import type { NewEvent } from '../../services/events/log-event.ts'
import { isTrace, traceHeadersOf, traceOf } from '../../services/events/trace.ts'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { Webhooks } from '../../standalone/webhooks/webhooks.ts'
import { type HubTracingOptions, hubTracing } from '../../tracing.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { settle } from '../support/fake-sink.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { startHub } from '../support/test-hub.ts'
import { untilSame } from '../support/test-node.ts'
import { SECRET, WebhookReceiver } from '../support/webhook-receiver.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register()
const host = trace.getTracer('host')
t.beforeEach(() => exporter.reset())

const INCOMING = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01'

/** The ended spans by their names. */
const spans = () => Object.fromEntries(exporter.getFinishedSpans().map((span) => [span.name, span]))
const span = (name: string) => spans()[name] as ReadableSpan
const idOf = (span: ReadableSpan) => span.spanContext().spanId
const linksOf = (span: ReadableSpan) => span.links.map(({ context }) => context.spanId)

/** A log in memory that shows what is appended. */
class ShownLog extends MemoryLog {
  readonly appended: NewEvent[] = []
  /** The span that was active during the last append. */
  active: Span | undefined
  isFailing = false

  constructor() {
    super({ retention: resolveRetention({}), idempotencyWindow: 1_000, clock: new FakeClock() })
  }

  override async append(events: readonly NewEvent[]) {
    if (this.isFailing) throw Object.assign(new Error('no'), { code: 'SSE_HUB_ERR_LOG_FULL' })
    this.appended.push(...events)
    this.active = trace.getActiveSpan()
    return super.append(events)
  }
}

async function start(t: Test, options?: HubTracingOptions) {
  const log = new ShownLog()
  const started = await startHub(t, { log })
  hubTracing(started.hub, options)
  return { ...started, log }
}

/** A tracer whose sampler decides by the name of a span; it shows what the sampler saw, and which spans ended. */
function sampledBy(decide: (name: string) => SamplingDecision) {
  const asked: Record<string, Attributes> = {}
  const ended: string[] = []
  const sampler = {
    shouldSample(_context: Context, _traceId: string, name: string, _kind: SpanKind, attributes: Attributes) {
      asked[name] = { ...attributes }
      return { decision: decide(name) }
    }
  }
  const processor = {
    onStart() {},
    onEnd: ({ name }: ReadableSpan) => ended.push(name),
    async forceFlush() {},
    async shutdown() {}
  }
  const tracer = new NodeTracerProvider({ sampler, spanProcessors: [processor] }).getTracer('test')
  return { tracer, asked, ended }
}

t.test('a publication is a span with the append below it, and the delivery is linked to it', async (t) => {
  const { hub, open, log } = await start(t)
  open()
  open()
  open({ user: 'bob' })
  const request = host.startSpan('request')
  const { id } = await within(request, () => hub.send('alice', { event: 'order', data: 'päid' }))
  await settle()
  const { 'publish user': publish, 'append memory': append, 'deliver user': deliver } = spans()
  if (!publish || !append || !deliver) return t.fail(Object.keys(spans()).join())
  t.equal(publish.parentSpanContext?.spanId, request.spanContext().spanId)
  t.equal(append.parentSpanContext?.spanId, idOf(publish))
  t.equal(deliver.parentSpanContext?.spanId, idOf(publish))
  t.same(linksOf(deliver), [idOf(publish)])
  t.same([publish.kind, append.kind, deliver.kind], [SpanKind.PRODUCER, SpanKind.INTERNAL, SpanKind.CONSUMER])
  const common = {
    'messaging.system': 'fastify-sse-hub',
    'messaging.destination.template': 'user',
    'messaging.message.id': id,
    'messaging.message.body.size': 5,
    'sse_hub.event': 'order',
    'sse_hub.streams': 2
  }
  t.same(publish.attributes, {
    ...common,
    'messaging.operation.name': 'publish',
    'messaging.operation.type': 'send'
  })
  t.same(deliver.attributes, {
    ...common,
    'messaging.operation.name': 'deliver',
    'messaging.operation.type': 'process'
  })
  t.same(append.attributes, { 'sse_hub.log.kind': 'memory', 'messaging.batch.message_count': 1 })
  t.match(log.appended[0]?.trace, `-${idOf(publish)}-01`)
})

t.test('a batch is one publication, and each of its events has a delivery', async (t) => {
  const { hub, open, log } = await start(t)
  open({ topics: ['room'] })
  await hub.publishBatch([
    { to: { topics: ['room'] }, data: 1 },
    { to: { everyone: true }, data: 2 },
    { to: { users: ['alice'] }, data: 3, inbox: true },
    { to: { users: ['nobody'] }, data: 4 }
  ])
  await settle()
  t.same(
    exporter
      .getFinishedSpans()
      .map(({ name }) => name)
      .sort(),
    ['append memory', 'deliver everyone', 'deliver topic', 'deliver user', 'publish several']
  )
  t.equal(span('publish several').attributes['messaging.batch.message_count'], 4)
  t.equal(span('publish several').attributes['messaging.message.id'], undefined)
  t.same(new Set(log.appended.map(({ trace }) => trace)).size, 1)
  t.ok(exporter.getFinishedSpans().every(({ attributes }) => !/alice|room|nobody/.test(JSON.stringify(attributes))))
})

t.test('a delivery lasts until all live streams have been written, and waits for no other', async (t) => {
  const { hub, open } = await start(t)
  const { sink } = open()
  await settle()
  const publishing = hub.send('alice', { data: 1 })
  await Promise.resolve()
  t.equal(span('deliver user'), undefined, 'it is not written yet')
  await publishing
  await settle()
  t.ok(span('deliver user'))
  exporter.reset()
  sink.room = 0
  await hub.send('alice', { data: 2 })
  await settle()
  exporter.reset()
  await hub.send('alice', { data: 'to a stream that takes nothing' })
  t.ok(span('deliver user'))
})

t.test('a failed append is an error with its code, and its text is not exported', async (t) => {
  const { hub, log } = await start(t)
  log.isFailing = true
  await t.rejects(hub.broadcast({ data: 1 }))
  for (const name of ['publish everyone', 'append memory']) {
    t.same(span(name).status, { code: SpanStatusCode.ERROR })
    t.equal(span(name).attributes['error.type'], 'SSE_HUB_ERR_LOG_FULL')
  }
})

t.test('a trace that the sampler drops is stored, and has no delivery', async (t) => {
  const log = new ShownLog()
  const { hub, open } = await startHub(t, { log })
  const never = new NodeTracerProvider({
    sampler: new TraceIdRatioBasedSampler(0),
    spanProcessors: [new SimpleSpanProcessor(exporter)]
  })
  hubTracing(hub, { tracer: never.getTracer('test') })
  open()
  await hub.send('alice', { data: 1 })
  await settle()
  t.same(exporter.getFinishedSpans(), [])
  t.match(log.appended[0]?.trace, /-00$/)
})

t.test(
  'a publication that the sampler drops has no span below it, and is the parent of spans that others begin',
  async (t) => {
    const { RECORD_AND_SAMPLED, NOT_RECORD } = SamplingDecision
    const { tracer, asked, ended } = sampledBy((name) => (name.startsWith('publish') ? NOT_RECORD : RECORD_AND_SAMPLED))
    const { hub, open, log } = await start(t, { tracer })
    open()
    const { id } = await hub.send('alice', { data: 1 })
    await hub.publishBatch([{ to: { everyone: true }, data: 2 }])
    await settle()
    t.same(Object.keys(asked), ['publish user', 'publish everyone'])
    t.same(ended, [])
    const [first, second] = log.appended
    t.match(first?.trace, /-00$/)
    t.not(first?.trace, second?.trace)
    t.equal(second?.trace, `00-${log.active?.spanContext().traceId}-${log.active?.spanContext().spanId}-00`)
    t.ok(id)
    log.isFailing = true
    await t.rejects(hub.broadcast({ data: 3 }), { code: 'SSE_HUB_ERR_LOG_FULL' })
  }
)

t.test('a publication that the sampler records without sampling it has an append, and no delivery', async (t) => {
  const { tracer, ended } = sampledBy(() => SamplingDecision.RECORD)
  const { hub, open, log } = await start(t, { tracer })
  open()
  await hub.send('alice', { data: 1 })
  await settle()
  t.same(ended.sort(), ['append memory', 'publish user'])
  t.match(log.appended[0]?.trace, /-00$/)
})

t.test('a sampler sees the attributes that are known when a span begins', async (t) => {
  const { tracer, asked } = sampledBy(() => SamplingDecision.RECORD_AND_SAMPLED)
  const { hub, open } = await start(t, { tracer })
  open()
  const { id } = await hub.send('alice', { event: 'order', data: 'päid' })
  await hub.publishBatch([
    { to: { topics: ['room'] }, data: 1 },
    { to: { everyone: true }, data: 2 }
  ])
  await settle()
  const ofHub = { 'messaging.system': 'fastify-sse-hub' }
  const ofPublication = { ...ofHub, 'messaging.operation.name': 'publish', 'messaging.operation.type': 'send' }
  const content = { 'sse_hub.event': 'order', 'messaging.message.body.size': 5 }
  t.same(asked['publish user'], { ...ofPublication, ...content, 'messaging.destination.template': 'user' })
  t.same(asked['publish several'], {
    ...ofPublication,
    'messaging.destination.template': 'several',
    'messaging.batch.message_count': 2
  })
  t.same(asked['append memory'], { 'sse_hub.log.kind': 'memory', 'messaging.batch.message_count': 2 })
  t.same(asked['deliver user'], {
    ...ofHub,
    ...content,
    'messaging.operation.name': 'deliver',
    'messaging.operation.type': 'process',
    'messaging.destination.template': 'user',
    'messaging.message.id': id,
    'sse_hub.streams': 1
  })
})

t.test('without an SDK an event has the trace that the publication continues, or none', async (t) => {
  const { hub, open, log } = await start(t, { tracer: new ProxyTracerProvider().getTracer('without an SDK') })
  const { sink } = open()
  await hub.send('alice', { data: 1 })
  await hub.send('alice', { data: 2 }, { trace: { traceparent: INCOMING, tracestate: 'a=1' } })
  const request = host.startSpan('request')
  await within(request, () => hub.send('alice', { data: 3 }))
  await settle()
  t.notOk('trace' in (log.appended[0] as object))
  t.equal(log.appended[1]?.trace, `${INCOMING} a=1`)
  t.match(log.appended[2]?.trace, `-${request.spanContext().spanId}-01`)
  t.equal(sink.published.length, 3)
  log.isFailing = true
  await t.rejects(hub.broadcast({ data: 4 }), { code: 'SSE_HUB_ERR_LOG_FULL' })
  t.same(exporter.getFinishedSpans(), [])
})

t.test('a hub that does not trace stores no trace, also of a request that has one', async (t) => {
  const log = new ShownLog()
  const { hub } = await startHub(t, { log })
  const request = host.startSpan('request')
  await within(request, () => hub.send('alice', { data: 1 }, { trace: { traceparent: INCOMING } }))
  t.notOk('trace' in (log.appended[0] as object))
})

t.test('an HTTP request continues its trace', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp)
  hubTracing(app.sse)
  const post = (url: string, payload: unknown, headers: Record<string, string>) =>
    app.inject({ method: 'POST', url, payload: payload as object, headers })
  const tracestate = 'vendor=1,other=2'
  await post('/users/alice/events', { data: 1 }, { traceparent: INCOMING, tracestate })
  await post('/topics/room/events', { data: 1 }, { traceparent: INCOMING })
  await post('/broadcast', { data: 1 }, { traceparent: `01${INCOMING.slice(2)}-more` })
  await post('/events', [{ to: { users: ['a'], everyone: true }, data: 1 }], { traceparent: INCOMING })
  const published = exporter.getFinishedSpans().filter(({ name }) => name.startsWith('publish'))
  t.equal(published.length, 4)
  for (const { name, parentSpanContext } of published) {
    t.equal(parentSpanContext?.traceId, INCOMING.slice(3, 35), name)
    t.equal(parentSpanContext?.spanId, INCOMING.slice(36, 52), name)
  }
  t.equal(span('publish user').spanContext().traceState?.serialize(), tracestate)
  exporter.reset()
  for (const traceparent of ['00-1-2-3', `ff${INCOMING.slice(2)}`, `${INCOMING}-more`, INCOMING.toUpperCase()]) {
    const { statusCode } = await post('/broadcast', { data: 1 }, { traceparent })
    t.equal(statusCode, 202)
  }
  for (const { parentSpanContext } of exporter.getFinishedSpans().filter(({ name }) => name.startsWith('publish')))
    t.equal(parentSpanContext, undefined)
  const lines = '{"to":{"everyone":true},"data":1}\n{"to":{"everyone":true},"data":2}\n'
  exporter.reset()
  await app.inject({
    ...{ method: 'POST', url: '/events', payload: lines },
    headers: { traceparent: INCOMING, 'content-type': 'application/x-ndjson' }
  })
  const ofLines = exporter.getFinishedSpans().filter(({ name }) => name === 'publish everyone')
  t.same(
    ofLines.map((each) => each.spanContext().traceId),
    [INCOMING.slice(3, 35), INCOMING.slice(3, 35)]
  )
})

t.test('an event of one node is delivered on another with a link', { skip: withoutRedis }, async (t) => {
  const server = await RedisServer.start()
  t.teardown(() => server.stop())
  const { hub: a } = await startHub(t, await redisHub({ url: server.url }))
  const { hub: b, open } = await startHub(t, await redisHub({ url: server.url }))
  hubTracing(a)
  hubTracing(b)
  const { sink } = open()
  await untilSame(() => a.isOnline('alice'), true)
  const trace = { traceparent: INCOMING, tracestate: 'vendor=é'.replace('é', 'x') }
  await a.send('alice', { data: 1 }, { trace })
  await untilSame(async () => sink.published.length, 1)
  await untilSame(async () => span('deliver user') !== undefined, true)
  const publish = span('publish user')
  t.same(linksOf(span('deliver user')), [idOf(publish)])
  t.equal(span('deliver user').links[0]?.context.traceState?.serialize(), 'vendor=x')
  t.equal(span('append redis').parentSpanContext?.spanId, idOf(publish))
  t.equal(exporter.getFinishedSpans().filter(({ name }) => name.startsWith('deliver')).length, 1, 'none on the other')
  const { events } = await b.log.read({ channels: ['u:alice'], from: 'oldest', limit: 1 })
  t.match(events[0]?.trace, `-${idOf(publish)}-01 vendor=x`)
})

t.test('a webhook has a link to the publication, and its request continues the trace', async (t) => {
  const receiver = await WebhookReceiver.start(t)
  const { hub, logged } = await startHub(t, { clock: new FakeClock({ wall: Date.now() }) })
  hubTracing(hub)
  const webhooks = new Webhooks({
    hub,
    logger: { warn() {}, error() {} },
    signers: [new Webhook(SECRET)],
    receiver: { url: new URL(receiver.url), timeout: 10_000 }
  })
  t.teardown(() => webhooks.stop())
  webhooks.start()
  let received: Record<string, unknown> = {}
  receiver.respond = (response) => {
    received = response.req.headers
    response.writeHead(500).end()
  }
  const { id } = await hub.send('alice', { data: 1 })
  await receiver.until(() => receiver.attempts.length === 1, 'an attempt')
  await untilSame(async () => span('webhook event.undelivered') !== undefined, true)
  const webhook = span('webhook event.undelivered')
  t.same(linksOf(webhook), [idOf(span('publish user'))])
  t.equal(received.traceparent, `00-${webhook.spanContext().traceId}-${idOf(webhook)}-01`)
  t.match(webhook.attributes, {
    'messaging.message.id': receiver.attempts[0]?.id,
    'http.response.status_code': 500,
    'error.type': '500'
  })
  t.equal(webhook.status.code, SpanStatusCode.ERROR)
  t.notMatch(JSON.stringify(webhook.attributes), /canary/, 'the path of the receiver is a secret')
  t.ok(id)
  t.same(logged, [])
})

t.test('a trace is checked before it is used', async (t) => {
  t.equal(traceOf({ traceparent: INCOMING }), INCOMING)
  t.equal(traceOf({ traceparent: INCOMING, tracestate: 'a=1' }), `${INCOMING} a=1`)
  t.equal(traceOf({ traceparent: INCOMING, tracestate: 'a'.repeat(513) }), INCOMING, 'a long tracestate is dropped')
  t.equal(traceOf({ traceparent: INCOMING, tracestate: 'a=\n' }), INCOMING)
  t.equal(traceOf({ traceparent: 7 as never }), undefined)
  t.same(traceHeadersOf(`${INCOMING} a=1, b=2`), { traceparent: INCOMING, tracestate: 'a=1, b=2' })
  for (const valid of [INCOMING, `${INCOMING} a=1`, `${INCOMING} ${'a'.repeat(512)}`]) t.ok(isTrace(valid), valid)
  const invalid = [undefined, 7, '', INCOMING.slice(1), `${INCOMING} `, `${INCOMING}x`, `${INCOMING} é`]
  for (const value of [...invalid, INCOMING.replace('0af7', 'ABCD'), `00-${'0'.repeat(32)}${INCOMING.slice(35)}`])
    t.notOk(isTrace(value), String(value))
})

t.test('options of tracing are checked', async (t) => {
  const { hub } = await startHub(t)
  for (const options of [{ tracer: {} }, { trazer: host }])
    t.throws(() => hubTracing(hub, options as never), { code: 'SSE_HUB_ERR_INVALID_OPTION' })
})

/** Calls a function while a span is active. */
function within<Result>(span: Span, call: () => Result): Result {
  const active: Context = trace.setSpan(context.active(), span)
  return context.with(active, call)
}

t.test('the propagator of the host is not used: the hub reads the headers itself', async (t) => {
  propagation.disable()
  const { hub } = await start(t)
  await hub.send('alice', { data: 1 }, { trace: { traceparent: INCOMING } })
  t.equal(span('publish user').parentSpanContext?.spanId, INCOMING.slice(36, 52))
})
