import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from './free-port.ts'
import { startProgram, without } from './programs.ts'
import { withoutRedis } from './redis-server.ts'
import { until } from './test-node.ts'

const CONF = join(import.meta.dirname, '..', '..', 'examples', 'cluster', 'nginx.conf')
/** The reason why tests that need nginx and a Redis are skipped, or false. */
export const withoutNginx = without('nginx', { version: '-v', install: 'apt-get install nginx-light' }) || withoutRedis

/** nginx configured as in the example, except for the addresses. Returns its URL. */
export async function startNginx(t: Test, nodes: readonly { readonly url: string }[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-nginx-'))
  const port = await freePort()
  let conf = readFileSync(CONF, 'utf8').replace('listen 80 ', `listen 127.0.0.1:${port} `)
  nodes.forEach(({ url }, at) => {
    conf = conf.replace(`hub-${at + 1}:3000`, new URL(url).host)
  })
  conf = conf.replaceAll(/^ +server hub-\d:3000.*\n/gm, '')
  const own = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  conf = conf.replace('http {', `pid ${folder}/pid;\nhttp {\n  access_log off;\n  ${own.join('\n  ')}`)
  mkdirSync(join(folder, 'logs'))
  writeFileSync(join(folder, 'nginx.conf'), conf)
  const args = ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr', '-g', 'daemon off; master_process off;']
  const { child: nginx, complaints } = startProgram(t, ['nginx', ...args], { folder, signal: 'SIGTERM' })
  const url = `http://127.0.0.1:${port}`
  await until(
    () =>
      fetch(`${url}/health/live`).then(
        ({ status }) => status,
        () => (nginx.exitCode === null ? 0 : -1)
      ),
    (status) => status !== 0,
    'nginx to listen'
  )
  if (nginx.exitCode !== null) throw new Error(`nginx ended: ${complaints()}`)
  return url
}
