import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { buildHub } from '../support/build.ts'
import { installPython } from '../support/python.ts'
import { allSnippets } from '../support/snippets.ts'

t.setTimeout(300_000)

const codeOf = (language: string): string =>
  allSnippets().find((snippet) => snippet.where.startsWith('docs/other-clients.md:') && snippet.language === language)
    ?.code ?? ''

/** Runs a client of Alice, which prints each event as a line, over two cuts and to an end for good. */
async function reads(t: Test, [program = '', ...args]: readonly string[]): Promise<void> {
  const host = await buildHub(t, { hub: { reconnectionTime: 100 } })
  const sockets = new Set<Socket>()
  host.app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const opened = () => new Promise((resolve) => host.app.sse.on('open', resolve))
  const first = opened()
  const env = { ...process.env, HUB: await host.listen(), no_proxy: '*' }
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => void child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  await first
  for (const data of ['one', 'two\nlines', 'three']) {
    await host.app.sse.send('alice', { event: 'order.shipped', data })
    for (const line of `order.shipped ${data}`.split('\n')) t.equal((await lines.next()).value, line)
    if (data === 'three') break
    const again = opened()
    for (const socket of sockets) socket.destroy()
    await host.app.sse.send('alice', { data: 'meanwhile' })
    t.equal((await lines.next()).value, 'message meanwhile')
    await again
  }
  await host.app.sse.disconnect('alice')
  t.same(await exited, [0, null])
  t.equal((await lines.next()).done, true)
}

const python = installPython(t, ['httpx-sse==0.4.*', 'httpx==0.28.*'])

t.test('the client in Python resumes after cuts, and ends for good', { skip: python.missing }, async (t) => {
  if (python.missing === false) await reads(t, [python.path, '-c', codeOf('python')])
})

t.test('the client in Java resumes after cuts, and ends for good', async (t) => {
  if (spawnSync('java', ['--version']).status !== 0) {
    t.comment('java is not installed: the client in Java was not run')
    return
  }
  const path = join(t.testdir(), 'Events.java')
  writeFileSync(path, codeOf('java'))
  await reads(t, ['java', path])
})

// Programs of clients that take long to compile, by hand: a JSON array of commands.
for (const command of JSON.parse(process.env.OTHER_CLIENTS ?? '[]') as string[][])
  t.test(`${command.join(' ')} resumes after cuts, and ends for good`, (t) => reads(t, command))
