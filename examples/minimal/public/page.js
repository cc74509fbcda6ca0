import { add, post, showState } from './feed.js'

const [feed, state, receipt] = ['.feed', '.state', '#receipt'].map((selector) => document.querySelector(selector))

const source = new EventSource('events?user=alice')
source.addEventListener('greeting', ({ data }) => add(feed, JSON.parse(data).text))
source.onopen = () => showState(state, 'open')
// A source that is cut returns by itself, with the id of the last event that it received.
source.onerror = () => showState(state, source.readyState === EventSource.CLOSED ? 'closed' : 'connecting')

document.querySelector('form').onsubmit = async (event) => {
  event.preventDefault()
  try {
    const { streams } = await post('users/alice/greetings', { text: event.target.elements.text.value })
    receipt.textContent = `streams reached: ${streams}`
  } catch ({ message }) {
    receipt.textContent = message
  }
}
