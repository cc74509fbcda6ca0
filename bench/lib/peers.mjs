import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { hasNchan, nginxVersion } from './nchan.mjs'

const { resolve } = createRequire(import.meta.url)

function versionOf(name) {
  const path = resolve(name)
  const folder = path.slice(0, path.lastIndexOf(`node_modules/${name}/`))
  return JSON.parse(readFileSync(`${folder}node_modules/${name}/package.json`, 'utf8')).version
}

/** Packages that do for Node what the hub does. */
export const PACKAGES = ['better-sse', 'fastify-sse', 'fastify-sse-v2']
/** What one writes without a package: chunked responses, and bare sockets, which are the floor. */
export const LOOPS = ['hand-written', 'bare-socket']
/** nginx with nchan, where it is installed. */
export const NCHAN = hasNchan ? ['nchan'] : []
export const ALL = ['hub', ...PACKAGES, ...LOOPS, ...NCHAN]

const TITLES = {
  hub: 'fastify-sse-hub',
  'better-sse': `better-sse ${versionOf('better-sse')}`,
  'fastify-sse': `@fastify/sse ${versionOf('@fastify/sse')}`,
  'fastify-sse-v2': `fastify-sse-v2 ${versionOf('fastify-sse-v2')}`,
  'hand-written': 'res.write loop',
  'bare-socket': 'bare socket.write',
  nchan: hasNchan ? `nchan (nginx ${nginxVersion()}, C)` : 'nchan',
  validate: 'route that only validates',
  'validate-ajv': 'the same, with ajv'
}

export const titleOf = (server) => TITLES[server] ?? server
