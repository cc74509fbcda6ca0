import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { NODE_COMMAND } from '../support/node-command.ts'
import { selfSigned } from '../support/self-signed.ts'

t.setTimeout(120_000)

const ROOT = join(import.meta.dirname, '..', '..')
/** When the process is killed, in milliseconds: it must have stopped by itself long before. */
const STOP_WITHIN = 10_000

async function start(t: Test, env: Record<string, string>): Promise<{ child: ChildProcess; port: number }> {
  const [node, ...args] = NODE_COMMAND
  const child = spawn(node as string, [...args, 'server.ts'], {
    cwd: ROOT,
    env: { ...process.env, PORT: '0', LOG_LEVEL: 'error', HUB_STORE: 'memory', ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  for await (const text of child.stdout as NodeJS.ReadableStream) {
    output += text
    const announced = /open https?:\/\/\S+:(\d+)\/$/m.exec(output)
    if (announced !== null) return { child, port: Number(announced[1]) }
  }
  throw new Error(`ended: ${output}`)
}

const certificate = (folder: string) => {
  const { cert, key } = selfSigned()
  const paths = { HUB_TLS_CERT: join(folder, 'cert.pem'), HUB_TLS_KEY: join(folder, 'key.pem') }
  writeFileSync(paths.HUB_TLS_CERT, cert)
  writeFileSync(paths.HUB_TLS_KEY, key)
  return paths
}

for (const protocol of ['HTTP', 'HTTPS']) {
  t.test(`over ${protocol} connections with incomplete requests do not keep a hub from an orderly stop`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'hub-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const { child, port } = await start(t, protocol === 'HTTP' ? {} : certificate(folder))
    const said = ['', 'GET /ev', 'POST /broadcast HTTP/1.1\r\nHost: hub\r\nContent-Length: 10\r\n\r\n{', '\x16\x03\x01']
    for (const text of said) {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.on('error', () => {})
      t.teardown(() => socket.destroy())
      await once(socket, 'connect')
      if (text !== '') socket.write(text)
    }
    const begun = performance.now()
    child.kill('SIGTERM')
    t.same(await once(child, 'exit'), [0, null])
    const took = performance.now() - begun
    t.comment(`stopped in ${Math.round(took)} ms`)
    t.ok(took < STOP_WITHIN)
  })
}
