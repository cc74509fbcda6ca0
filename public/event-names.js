/**
 * The event names that every stream of this page listens for. A native EventSource drops events without a listener for
 * their name, so each new name (typed in, or sent from here) is passed to every open stream and to the other tabs.
 */
const names = new Set(['message', 'notice', 'order.shipped', 'missed', 'progress', 'done'])
const listeners = new Set()
const otherTabs = 'BroadcastChannel' in globalThis ? new BroadcastChannel('sse-hub.event-names') : undefined

otherTabs?.addEventListener('message', ({ data }) => learn(data))

function learn(wanted) {
  // Names of the hub have their own listeners; a second listener would show their events twice.
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

/** Calls `listener` with each batch of new names; returns a function that removes it. */
export function onNewNames(listener) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
