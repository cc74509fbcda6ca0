#!/usr/bin/env node
import { text } from 'node:stream/consumers'
import { runCommand } from './cli/run-command.ts'
import type { Variables } from './values.ts'

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

async function serve(env: Variables): Promise<void> {
  // The server reads its environment, and so do processes that it starts.
  Object.assign(process.env, env)
  try {
    await import('../server.ts')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const missing = PACKAGES.find((name) => message.includes(`'${name}'`))
    if (code !== 'ERR_MODULE_NOT_FOUND' || missing === undefined) throw error
    throw new Error(`the server needs ${missing}, which the library does not install. Run: npx fastify-sse-hub-server`)
  }
}

const stop = new AbortController()
const args = process.argv.slice(2)
const isCommand = args[0] !== undefined && !args[0].startsWith('-')
// The server handles signals itself.
if (isCommand) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
// The reader of a pipe may leave before the command ends.
process.stdout.on('error', () => stop.abort())

const exitCode = await runCommand(
  args,
  {
    env: process.env,
    print: (line) => void process.stdout.write(`${line}\n`),
    complain: (line) => void process.stderr.write(`fastify-sse-hub: ${line}\n`),
    readInput: () => text(process.stdin),
    isTerminal: process.stdout.isTTY === true,
    signal: stop.signal
  },
  serve
)
if (exitCode !== undefined) process.exitCode = exitCode
