import { setTimeout as wait } from 'node:timers/promises'
import { connect } from '../../client.ts'
import { type Command, UsageError } from './command-context.ts'
import { HubApi } from './hub-api.ts'
import { HUB_OPTIONS, historyPath, numberOf, parse } from './options.ts'

/** How often `tail` asks for new events, in milliseconds. */
const POLL = 1_000
const PAGE = 1_000

interface ShownEvent {
  readonly id: string | undefined
  readonly event: string
  readonly data: string
}

/** An event as a line of JSON, or as its name and data. */
function lineOf({ id, event, data }: ShownEvent, isJson: boolean): string {
  return isJson ? JSON.stringify({ id: id ?? null, event, data }) : `${event}\t${data}`
}

/** `listen`: opens a stream as a subscriber, and prints its events. It reconnects by itself, and misses nothing. */
export const listen: Command = async (args, context) => {
  const { values } = parse(args, {
    ...HUB_OPTIONS,
    user: { type: 'string' },
    topic: { type: 'string', multiple: true },
    follow: { type: 'string' },
    token: { type: 'string' },
    ticket: { type: 'string' },
    'last-event-id': { type: 'string' },
    last: { type: 'string' },
    count: { type: 'string' },
    own: { type: 'boolean' }
  })
  const { user, follow, token, ticket, topic, own, json = false } = values
  const last = numberOf('last', values.last, 1, 1_000)
  const count = numberOf('count', values.count, 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY
  if (token !== undefined && ticket !== undefined) throw new UsageError('--token and --ticket exclude each other')
  const api = new HubApi(values, context)
  const stream = connect(api.urlOf('/events', { user, follow, last }), {
    topics: topic,
    lastEventId: values['last-event-id'],
    signal: context.signal,
    parse: (text) => text,
    auth: () =>
      ticket === undefined
        ? { headers: token === undefined ? api.headers : { authorization: `Bearer ${token}` } }
        : { ticket },
    debug: ({ event, data, id }) => {
      if (own && event.startsWith('hub.') && data !== undefined) context.print(lineOf({ id, event, data }, json))
    }
  })
  let printed = 0
  stream.on('*', ({ name, id, text }) => {
    if (printed === count) return
    printed++
    context.print(lineOf({ id, event: name, data: text }, json))
    if (printed === count) stream.close()
  })
  stream.on('error', ({ code, message }) => context.complain(`${code}: ${message}`))
  const { reason, error } = await new Promise<typeof stream.state>((resolve) => stream.on('close', resolve))
  const isWanted = ['stopped', 'finished', 'gone'].includes(reason ?? '')
  if (!isWanted) context.complain(`the stream has ended: ${error?.code ?? reason}`)
  return isWanted ? 0 : 1
}

/** `history`: prints a page of retained events, the oldest first. */
export const history: Command = async (args, context) => {
  const { values } = parse(args, {
    ...HUB_OPTIONS,
    user: { type: 'string' },
    topic: { type: 'string' },
    everyone: { type: 'boolean' },
    after: { type: 'string' },
    limit: { type: 'string' }
  })
  const limit = numberOf('limit', values.limit, 1, PAGE) ?? 100
  const page = (await new HubApi(values, context).get(historyPath(values), { after: values.after, limit })) as Page
  for (const event of page.events) context.print(lineOf(event, values.json ?? false))
  if (!page.complete) context.complain(`there is more, or some is gone; continue with --after ${page.cursor}`)
  return 0
}

interface Page {
  readonly events: readonly ShownEvent[]
  readonly complete: boolean
  readonly cursor: string
}

/** `tail`: prints events of a user, of a topic or for everyone as they are published, with a publisher's key. */
export const tail: Command = async (args, context) => {
  const { values } = parse(args, {
    ...HUB_OPTIONS,
    user: { type: 'string' },
    topic: { type: 'string' },
    everyone: { type: 'boolean' },
    after: { type: 'string' },
    count: { type: 'string' }
  })
  const api = new HubApi(values, context)
  const path = historyPath(values)
  let rest = numberOf('count', values.count, 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY
  let after = values.after ?? ((await api.get('/cursor')) as { cursor: string }).cursor
  while (!context.signal.aborted && rest > 0) {
    const page = (await api.get(path, { after, limit: PAGE })) as Page
    after = page.cursor
    for (const event of page.events.slice(0, rest)) context.print(lineOf(event, values.json ?? false))
    rest -= page.events.length
    if (page.events.length < PAGE && rest > 0)
      await wait(POLL, undefined, { signal: context.signal }).catch(() => undefined)
  }
  return 0
}
