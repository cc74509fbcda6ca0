/**
 * The event names that every stream of this page listens for. A native EventSource drops an event whose name it
 * was not told, so a name that is learned anywhere (typed in, or sent from here) is told to every open stream,
 * and to the other tabs of this page.
 */
const names = new Set(['message', 'notice', 'order.shipped', 'missed', 'progress', 'done'])
const listeners = new Set()
const otherTabs = 'BroadcastChannel' in globalThis ? new BroadcastChannel('sse-hub.event-names') : undefined

otherTabs?.addEventListener('message', ({ data }) => learn(data))

function learn(wanted) {
  // The hub's own names have their own listeners; hearing them here too would show them twice.
  const fresh = wanted.filter((name) => !names.has(name) && !name.startsWith('hub.'))
  for (const name of fresh) names.add(name)
  if (fresh.length) for (const listener of listeners) listener(fresh)
  return fresh
}

export function listenFor(wanted) {
  const fresh = learn(wanted)
  if (fresh.length) otherTabs?.postMessage(fresh)
}

export const eventNames = () => [...names]

/** Calls back with each batch of new names; returns how to stop that. */
export function onNewNames(listener) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
