import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { buildRoutes } from '../support/build.ts'
import { without } from '../support/programs.ts'
import { allSnippets } from '../support/snippets.ts'

t.setTimeout(60_000)

const withoutPython = without('python3')
const withoutCurl = without('curl')
const [publishing = '', following = ''] = allSnippets()
  .filter(({ where, language }) => where.startsWith('docs/http.md') && language === 'python')
  .map(({ code }) => code)

interface Host {
  readonly url: string
  readonly publish: (draft: object) => Promise<Response>
  /** Destroys every connection of clients. */
  readonly cut: () => void
}

/** The HTTP API on a socket; clients that are cut return soon. */
async function start(t: Test): Promise<Host> {
  const host = await buildRoutes(t, { hub: { reconnectionTime: 20 } })
  const sockets = new Set<Socket>()
  host.app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const url = `${await host.listen()}/hub`
  const publish = (draft: object) =>
    fetch(`${url}/topics/report%2F7/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify(draft)
    })
  return { url, publish, cut: () => sockets.forEach((socket) => void socket.destroy()) }
}

/** Runs a program, and returns its lines one by one. */
function run(
  t: Test,
  program: string,
  args: readonly string[],
  url: string
): { lines: AsyncIterator<string>; child: ChildProcess } {
  const child = spawn(program, args, {
    env: { ...process.env, HUB: url, no_proxy: '*' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]()
  return { lines, child }
}

const nextOf = async (lines: AsyncIterator<string>): Promise<string | undefined> => (await lines.next()).value

t.test('a task is published and followed from Python by HTTP alone', { skip: withoutPython }, async (t) => {
  const { url } = await start(t)
  const { lines } = run(t, 'python3', ['-c', following], url)
  const { child } = run(t, 'python3', ['-c', publishing], url)
  t.same(await once(child, 'exit'), [0, null])
  for (let step = 1; step <= 5; step++) t.equal(await nextOf(lines), `progress {"step":${step}}`)
  t.equal(await nextOf(lines), 'done {"url":"/reports/7.pdf"}')
  t.equal(await nextOf(lines), 'end finished')
  t.equal(await nextOf(lines), undefined, 'the program ends')
})

t.test(
  'the follower in Python resumes after each cut, without loss or repetition',
  { skip: withoutPython },
  async (t) => {
    const { url, publish, cut } = await start(t)
    const { lines } = run(t, 'python3', ['-c', following], url)
    for (let step = 1; step <= 5; step++) {
      await publish({ event: 'progress', data: { step } })
      t.equal(await nextOf(lines), `progress {"step":${step}}`)
      cut()
    }
    await publish({ event: 'failure', data: 'line 1\nline 2', fail: true })
    t.equal(await nextOf(lines), 'failure line 1')
    t.equal(await nextOf(lines), 'line 2')
    t.equal(await nextOf(lines), 'end failed')
    t.equal(await nextOf(lines), undefined)
  }
)

t.test('a task is followed by curl, cut, and resumed', { skip: withoutCurl }, async (t) => {
  const { url, publish } = await start(t)
  const stream = `${url}/events?user=alice&follow=report/7`
  const first = run(t, 'curl', ['-sN', stream], url)
  await publish({ event: 'progress', data: '1' })
  let id = ''
  for (let isData = false; !(isData && id !== ''); ) {
    const line = (await nextOf(first.lines)) ?? ''
    if (line === 'data: 1') isData = true
    if (isData && line.startsWith('id: ')) id = line.slice(4)
  }
  first.child.kill('SIGKILL')
  await publish({ event: 'progress', data: '2' })
  await publish({ event: 'done', data: '3', final: true })
  const second = spawn('curl', ['-sN', '--noproxy', '*', '-H', `Last-Event-ID: ${id}`, stream])
  const rest = await text(second.stdout)
  t.match(rest, /data: 2\n.*data: 3\n.*event: hub\.close\ndata: \{"reason":"finished","reconnect":false\}\n/s)
  t.notMatch(rest, /data: 1\n/)
  const end = rest.match(/id: (\S+\.end)/)?.[1] ?? ''
  const third = spawn('curl', [
    '-s',
    '--noproxy',
    '*',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '-H',
    `Last-Event-ID: ${end}`,
    stream
  ])
  t.equal(await text(third.stdout), '204')
})
