import { stats, users } from './api.js'
import { byId } from './dom.js'
import { say } from './i18n.js'

const EVERY = 3000

/** Polls the state of the hub every few seconds while the page is visible. Returns a function that polls at once. */
export function hubStatus({ mayAsk, onUsers }) {
  let timer
  let asking = false

  const ask = async () => {
    clearTimeout(timer)
    if (!document.hidden && !asking && mayAsk()) {
      asking = true
      await update(onUsers)
      asking = false
    }
    clearTimeout(timer)
    timer = setTimeout(ask, EVERY)
  }
  document.addEventListener('visibilitychange', ask)
  void ask()
  return ask
}

async function update(onUsers) {
  const pill = byId('hub-state')
  try {
    const [counts, online] = await Promise.all([stats(), users()])
    for (const what of ['users', 'streams']) {
      byId(`hub-${what}`).textContent = counts[what]
      say(byId(`hub-${what}-word`), `hub.${what}`, { n: counts[what] })
    }
    onUsers(online)
    pill.dataset.tone = 'good'
    say(pill, 'hub.up')
  } catch (error) {
    // Outdated numbers would look current.
    for (const what of ['users', 'streams']) byId(`hub-${what}`).textContent = '–'
    pill.dataset.tone = 'bad'
    say(pill, error.status ? 'hub.refuses' : 'hub.down')
  }
}
