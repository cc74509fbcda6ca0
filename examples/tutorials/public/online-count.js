import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const [feed, state] = ['.feed', '.state'].map((selector) => document.querySelector(selector))
const user = `guest-${crypto.getRandomValues(new Uint16Array(1))[0]}`

// The client returns by itself: after the reconnection time of the hub, and after failures in a row with longer waits.
const stream = connect(`online-count/connect?user=${user}`)
stream.on('hub.welcome', ({ data }) => {
  add(feed, `${data.text} (heartbeats every ${data.heartbeatInterval / 1_000} s)`)
  show(data.online)
})
stream.on('hub.heartbeat', () => add(feed, 'heartbeat', 'hub'))
stream.on('online', ({ data }) => show(data))
stream.on('notice', ({ text }) => add(feed, text))
stream.on('state', ({ name, nextAttempt }) => {
  const wait = nextAttempt === undefined ? '' : ` ${((nextAttempt - Date.now()) / 1_000).toFixed(1)} s`
  showState(state, name, name + wait)
})

function show({ users, streams }) {
  document.querySelector('#users').textContent = users
  document.querySelector('#streams').textContent = `streams: ${streams}`
}

document.querySelector('form').onsubmit = (event) => {
  event.preventDefault()
  act(post('online-count/broadcast', { message: event.target.elements.message.value }))
}
document.querySelector('#cut').onclick = () => act(post('online-count/cut'))
document.querySelector('#leave').onclick = () => stream.close()

const act = (answer) => answer.catch(({ message }) => add(feed, message))
