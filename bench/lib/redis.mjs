import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { freePort } from './free-port.mjs'

export const hasRedis = () => spawnSync('redis-server', ['--version']).status === 0
export const WITHOUT_REDIS = 'left out: redis-server is not installed (apt-get install redis-server)'

/** Starts a Redis without persistence, passes its URL and process id to `work`, and stops it afterwards. */
export async function withRedis(work) {
  const port = await freePort()
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const redis = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    for await (const line of createInterface(redis.stdout)) if (line.includes('Ready to accept')) break
    redis.stdout.resume()
    return await work({ url: `redis://127.0.0.1:${port}`, pid: redis.pid })
  } finally {
    redis.kill('SIGKILL')
  }
}
