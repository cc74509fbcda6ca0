import { effect, signal } from '@preact/signals'
import type { Begin, StreamWish } from '../hub/hub-stream.ts'

/** The parts of the console. */
export const VIEWS = ['live', 'users', 'topics', 'hub', 'diagnose'] as const
export type View = (typeof VIEWS)[number]

/**
 * The state of the page that is in its URL, behind the `#`, so that a reload and a shared link show the same. It does not
 * reach a server's log, and never holds a credential.
 */
export interface Route {
  readonly view: View
  readonly streams: readonly StreamWish[]
  readonly filter: string
  readonly order: 'newest' | 'oldest'
  /** The user or topic that the view shows. */
  readonly subject: string
}

const MAX_STREAMS = 20
const START: Route = { view: 'live', streams: [], filter: '', order: 'newest', subject: '' }

export const route = signal<Route>(parseRoute(location.hash))

export function parseRoute(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?')
  const fields = new URLSearchParams(search)
  const view = VIEWS.find((name) => name === path) ?? START.view
  const streams = fields.getAll('s').slice(0, MAX_STREAMS).flatMap(parseWish)
  const order = fields.get('order') === 'oldest' ? 'oldest' : 'newest'
  return { view, streams, order, filter: fields.get('q') ?? '', subject: fields.get('of') ?? '' }
}

export function formatRoute({ view, streams, filter, order, subject }: Route): string {
  const fields = new URLSearchParams()
  if (subject) fields.set('of', subject)
  for (const wish of streams) fields.append('s', formatWish(wish))
  if (filter) fields.set('q', filter)
  if (order !== START.order) fields.set('order', order)
  const search = fields.toString()
  return `#/${view}${search && `?${search}`}`
}

/** `alice`, `alice~news,orders/42`, `alice~news~last:20` */
function formatWish({ user, topics, begin }: StreamWish): string {
  const parts = [user, topics.join(',')].map(encodeURIComponent)
  const start = begin.kind === 'last' ? `last:${begin.count}` : begin.kind
  return [...parts, start].join('~')
}

function parseWish(text: string): StreamWish[] {
  const [user = '', topics = '', start = ''] = text.split('~').map(decoded)
  return user === '' ? [] : [{ user, topics: listOf(topics), begin: beginOf(start) }]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // A broken percent encoding.
  }
}

function beginOf(text: string): Begin {
  const count = Number(/^last:(\d{1,4})$/.exec(text)?.[1])
  if (count >= 1 && count <= 1_000) return { kind: 'last', count }
  return { kind: text === 'oldest' || text === 'follow' ? text : 'now' }
}

/** `'a, b ,,c'` → `['a', 'b', 'c']` */
export function listOf(text: string): string[] {
  return [...new Set(text.split(',').map((part) => part.trim()))].filter(Boolean)
}

/** Marks the entries of the browser's history that the console made. */
const OWN = { isOwn: true }

/** Changes the state. Another view is a step back in the browser's history; all else is not. */
export function go(change: Partial<Route>): void {
  const next = { ...route.value, ...change }
  if (change.view !== undefined && change.view !== route.value.view && change.subject === undefined)
    (next as { subject: string }).subject = ''
  const isStep = next.view !== route.value.view || next.subject !== route.value.subject
  if (isStep) history.pushState(OWN, '', formatRoute(next))
  route.value = next
}

effect(() => {
  const hash = formatRoute(route.value)
  if (hash !== location.hash || history.state === null) history.replaceState(OWN, '', hash)
})
addEventListener('popstate', ({ state }) => {
  // A link or an address that the reader entered: it opens its own streams.
  if (state === null) return location.reload()
  // A step back: the streams stay open, and only the view changes.
  const { view, subject } = parseRoute(location.hash)
  route.value = { ...route.value, view, subject }
})
