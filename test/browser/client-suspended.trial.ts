import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { Gateway } from '../support/gateway.ts'
import { publish, ServerProcess } from '../support/server-process.ts'
import { launchEngines, untilIn } from './engines.ts'

t.setTimeout(300_000)

const BUNDLER = '../../scripts/bundle-client.mjs'
const { minified } = (await import(BUNDLER)) as { minified(entry: string, names: string[]): Promise<string> }

/** In milliseconds. */
const SUSPENSION = 40_000

const PAGE = `<!doctype html><title>suspended</title><script type="module">
import { connect } from '/client.js'
window.seen = []
window.states = []
window.stream = connect('/events?user=alice', { silenceTimeout: 2000 })
stream.on('*', ({ text }) => seen.push(text))
stream.on('state', ({ name, reason }) => states.push(name + ' ' + reason))
</script>`

const engines = await launchEngines(t)
const skip = engines.map((engine) => engine.skip).find((reason) => reason) ?? false

t.test(`a hub that is suspended for ${SUSPENSION / 1_000} seconds costs no page an event`, { skip }, async (t) => {
  const hub = new ServerProcess(t, { HUB_HEARTBEAT: '1000', HUB_RETRY: '500' })
  const url = await hub.url()
  const gateway = new Gateway()
  gateway.target = Number(new URL(url).port)
  gateway.files.set('/', { type: 'text/html', text: PAGE })
  gateway.files.set('/client.js', { type: 'text/javascript', text: await minified('client.ts', ['connect']) })
  await gateway.start()
  t.teardown(() => gateway.close())
  const tabs = await Promise.all(engines.map((engine) => engine.newTab()))
  t.teardown(() => Promise.all(tabs.map((tab) => tab.close())))
  const until = async (condition: string) => {
    for (const tab of tabs) await untilIn(tab, condition, 'JSON.stringify({ seen, states })')
  }
  await Promise.all(tabs.map((tab) => tab.goto(gateway.url)))
  await until("stream.state.name === 'open'")
  await publish(url, '/users/alice/events', 'before')
  await until("seen.at(-1) === 'before'")

  hub.child.kill('SIGSTOP')
  // The hub takes it when it goes on.
  const meanwhile = publish(url, '/users/alice/events', 'meanwhile')
  await pause(SUSPENSION)
  await until("states.includes('waiting silent')")
  hub.child.kill('SIGCONT')
  await meanwhile
  await publish(url, '/users/alice/events', 'after')
  await until("stream.state.name === 'open' && seen.at(-1) === 'after'")
  for (const tab of tabs) t.same(await tab.evaluate('seen'), ['before', 'meanwhile', 'after'])
  for (const tab of tabs) t.equal(await tab.evaluate('stream.counters.gaps'), 0)
})
