import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const [feed, state, node, online] = ['.feed', '.state', '#node', '#online'].map((each) => document.querySelector(each))

const stream = connect('events?user=alice', { persist: 'session' })
stream.on('state', ({ name }) => showState(state, name))
stream.on('hub.welcome', ({ data }) => {
  node.textContent = data.node
  online.textContent = `streams of all nodes: ${data.online.streams}`
})
stream.on('message', ({ text }) => add(feed, text))

document.querySelector('form').onsubmit = (event) => {
  event.preventDefault()
  const data = `${event.target.elements.text.value} (${location.host})`
  post('users/alice/events', { data }).catch(({ message }) => add(feed, message))
}
