import { byId, el } from './dom.js'
import { say } from './i18n.js'

/** Maximum of connections of a browser to one host over HTTP/1.1. Each open stream uses one. */
const MOST = 6

// HTTP/2 carries all streams over one connection. Browsers speak it only over TLS.
const protocol = performance.getEntriesByType('navigation')[0]?.nextHopProtocol
const limited = protocol ? protocol.startsWith('http/1') : location.protocol === 'http:'

/** Warns at the limit, because beyond it every request, also a publish, waits without an error. */
export function connections(panels, stopNewest) {
  const meter = byId('connections')
  const warning = byId('too-many')
  warning.append(
    el('p', { say: 'connections.toomany' }),
    el('button', { type: 'button', say: 'connections.stop', on: { click: stopNewest } })
  )

  const open = () => panels().filter((panel) => panel.open).length
  const others = otherTabs(open, () => refresh())
  const used = () => open() + others.used()

  function refresh() {
    others.tell()
    meter.hidden = !limited || open() === 0
    meter.dataset.tone = used() >= MOST ? 'bad' : used() === MOST - 1 ? 'wait' : ''
    say(meter, 'connections.used', { n: used(), most: MOST })
    warning.hidden = !limited || used() < MOST
  }
  return { refresh, full: () => limited && used() >= MOST }
}

/** All tabs of this page share the limit, so they send each other their numbers of open streams. */
function otherTabs(open, onChange) {
  const me = String(Math.random())
  const theirs = new Map()
  const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('sse-hub.connections') : undefined
  let told

  const tell = (count = open()) => {
    if (count === told) return
    told = count
    channel?.postMessage({ tab: me, open: count })
  }
  channel?.addEventListener('message', ({ data }) => {
    // A new tab does not have the number of this tab yet.
    if (!theirs.has(data.tab)) told = undefined
    theirs.set(data.tab, data.open)
    onChange()
  })
  addEventListener('pagehide', () => tell(0))
  return { tell, used: () => [...theirs.values()].reduce((sum, count) => sum + count, 0) }
}
