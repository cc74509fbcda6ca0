import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below the ports that kernels give to outgoing connections, so that no client takes the port before its server does. The bus of
 * a Redis Cluster has a port 10,000 above, which is below them as well.
 */
const [LOWEST, HIGHEST] = [10_000, 22_000]

/** A port of this machine on which nothing listens. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
