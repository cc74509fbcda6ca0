import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import { compiledHub } from '../support/compiled-hub.ts'
import { settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const CHILD = join(import.meta.dirname, '..', 'support', 'inbox-child.mjs')

t.test('an inbox shows the same number after kill -9', async (t) => {
  t.setTimeout(120_000)
  const path = mkdtempSync(join(tmpdir(), 'inbox-kill-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  const compiled = await compiledHub()
  const urlOf = (file: string) => pathToFileURL(join(compiled, file)).href
  const child = spawn(process.execPath, [CHILD, urlOf('index.js'), urlOf('embedded.js'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH }
  })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = await once(createInterface(child.stdout), 'line')
  const { ids, unread } = JSON.parse(line) as { ids: string[]; unread: number }
  t.equal(unread, 4)
  child.kill('SIGKILL')
  await once(child, 'close')

  const { hub, open } = await startHub(t, { log: await embeddedLog({ path }) })
  t.equal(await hub.unread('alice'), unread)
  const page = await hub.inbox('alice')
  t.match(page, { unread, readUpTo: ids[4], next: null })
  t.same(
    page.events.map(({ data, isRead }) => [data, isRead]),
    ['9', '8', '6', '5', '4', '3', '2', '1', '0'].map((data) => [data, Number(data) <= 4])
  )
  const { sink } = open({ lastEventId: ids[6] as string })
  await settle(8)
  t.equal(JSON.parse(sink.events[0]?.data ?? '{}').unread, unread)
  t.same(
    sink.events.map(({ event }) => event),
    ['hub.welcome', 'message', 'message', 'hub.retract', 'hub.read', 'hub.unread']
  )
  t.same(JSON.parse(sink.events.at(-1)?.data ?? '{}'), { unread })
  t.same(await hub.markRead('alice', ids[2] as string), { upTo: ids[4], unread })
})
