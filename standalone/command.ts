#!/usr/bin/env node

/** Packages that the server needs beside the library; `fastify-sse-hub-server` installs them. */
const PACKAGES = [
  '@fastify/cors',
  '@fastify/jwt',
  '@fastify/rate-limit',
  '@fastify/static',
  '@fastify/swagger',
  '@fastify/swagger-ui',
  'close-with-grace',
  'cookie',
  'prom-client'
]

try {
  await import('../server.ts')
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException
  const missing = PACKAGES.find((name) => message.includes(`'${name}'`))
  if (code !== 'ERR_MODULE_NOT_FOUND' || missing === undefined) throw error
  process.stderr.write(
    `fastify-sse-hub: the server needs ${missing}, which the library does not install. Run: npx fastify-sse-hub-server\n`
  )
  process.exitCode = 1
}
