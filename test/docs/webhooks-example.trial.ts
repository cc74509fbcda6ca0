import { execFile } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { compiledHub } from '../support/compiled-hub.ts'
import { install, ROOT } from '../support/packed-host.ts'

const run = promisify(execFile)

t.test('the example of webhooks sends Web Push and e-mail for an event of a running hub', async (t) => {
  const folder = t.testdir()
  cpSync(join(ROOT, 'examples', 'webhooks'), folder, { recursive: true })
  await install(folder)
  const env = { ...process.env, HUB_SERVER: join(await compiledHub(), 'server.js') }
  const { stdout } = await run('npm', ['test'], { cwd: folder, env })
  t.match(stdout, /^# pass 5$/m)
  t.match(stdout, /^# (fail|skipped) 0$/m)
})
