import { credential } from '../state/credentials.ts'
import { API_BASE, pathOf, type Target } from './api.ts'
import type { Draft } from './types.ts'

/** The same send in other ways, ready to be copied. A key is named, and never shown. */
export function codeFor(target: Target, { idempotencyKey: _, ...draft }: Draft) {
  return [
    { name: 'curl', code: curlFor(target, draft) },
    { name: 'fastify', code: fastifyFor(target, draft) },
    { name: 'client', code: clientFor(target, draft) }
  ] as const
}

function curlFor(target: Target, draft: Draft): string {
  const lines = [`curl ${quoted(new URL(pathOf(target), API_BASE).href)}`]
  if (credential.value) lines.push(`  -H "authorization: Bearer $HUB_KEY"`)
  lines.push(`  -H 'content-type: application/json'`, `  -d ${quoted(JSON.stringify(draft))}`)
  return lines.join(' \\\n')
}

/** In a POSIX shell nothing is special between single quotes except the quote itself. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

function fastifyFor(target: Target, draft: Draft): string {
  const event = JSON.stringify(draft, undefined, 2)
  if (target.kind === 'everyone') return `await app.sse.broadcast(${event})`
  const method = target.kind === 'user' ? 'send' : 'publish'
  return `await app.sse.${method}(${JSON.stringify(target.name)}, ${event})`
}

function clientFor(target: Target, { event = 'message' }: Draft): string {
  const url = new URL('events', API_BASE)
  if (target.kind === 'user') url.searchParams.set('user', target.name)
  if (target.kind === 'topic') url.searchParams.set('topics', target.name)
  const name = JSON.stringify(event)
  return [
    `import { connect } from 'fastify-sse-hub/client'`,
    '',
    `const stream = connect(${JSON.stringify(url.href)})`,
    `stream.on(${name}, ({ data, id }) => console.log(id, data))`
  ].join('\n')
}
