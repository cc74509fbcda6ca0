import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasNchan, nginxVersion } from './nchan.mjs'
import { BUILT, programTitle } from './programs.mjs'

/** Packages for Node with the same purpose. */
export const PACKAGES = ['better-sse', 'fastify-sse', 'fastify-sse-v2']
/** Hand-written servers without a package: chunked responses, and bare sockets, which are the floor. */
export const LOOPS = ['hand-written', 'bare-socket']
/** nginx with nchan, where it is installed. */
export const NCHAN = hasNchan ? ['nchan'] : []
/** Servers in other languages, where they are built: `node bench/build-programs.mjs`. */
export const OTHERS = [...NCHAN, ...BUILT]
export const ALL = ['hub', ...PACKAGES, ...LOOPS, ...OTHERS]

const TITLES = {
  hub: () => 'fastify-sse-hub',
  'better-sse': () => withVersion('better-sse'),
  'fastify-sse': () => withVersion('@fastify/sse'),
  'fastify-sse-v2': () => withVersion('fastify-sse-v2'),
  'hand-written': () => 'res.write loop',
  'bare-socket': () => 'bare socket.write',
  nchan: () => `nchan (nginx ${nginxVersion()}, C)`,
  validate: () => 'route that only validates',
  'validate-ajv': () => 'the same, with ajv'
}

/** The title of a server in a table. */
export const titleOf = (server) => TITLES[server]?.() ?? programTitle(server)

function withVersion(name) {
  const manifest = join(import.meta.dirname, '..', 'node_modules', name, 'package.json')
  return `${name} ${JSON.parse(readFileSync(manifest, 'utf8')).version}`
}
