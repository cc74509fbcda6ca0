import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { cpuOf } from './usage.mjs'

const SERVER = join(import.meta.dirname, '..', '..', 'dist', 'server.js')

/** Starts the standalone hub with a number of workers on a Redis. The system chooses the cores of its processes. */
export async function startWorkers(count, redis) {
  const child = spawn(process.execPath, [SERVER], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ...{ NODE_ENV: 'production', PORT: '0', LOG_LEVEL: 'error', HUB_STORE: redis, HUB_WORKERS: String(count) },
      ...{ HUB_MAX_STREAMS_PER_USER: '0', HUB_OPENING_RATE: '0', HUB_RATE_LIMIT: '0' }
    }
  })
  const stop = async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  }
  for await (const line of createInterface(child.stdout)) {
    const port = /^fastify-sse-hub: open http:\S+:(\d+)\/$/.exec(line)?.[1]
    if (port === undefined) continue
    child.stdout.resume()
    return { port: Number(port), stop, ask: async () => ({ cpu: cpuOfAll(child.pid) }) }
  }
  throw new Error('the server ended before it listened')
}

/** CPU of a process and its children, in microseconds. */
function cpuOfAll(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return children.reduce((sum, child) => sum + cpuOfAll(child), cpuOf(pid))
}
