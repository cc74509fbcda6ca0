import { add, showState } from './feed.js'

const [feed, state, start] = ['.feed', '.state', 'button'].map((selector) => document.querySelector(selector))

start.onclick = () => {
  const arrivals = []
  feed.replaceChildren()
  document.querySelector('#verdict').textContent = ''
  start.disabled = true
  const source = new EventSource('done-marker/stream')
  showState(state, 'connecting')
  source.onopen = () => showState(state, 'open')
  source.onmessage = ({ data }) => {
    arrivals.push(performance.now())
    add(feed, data)
    if (data === '[Done]') end('complete')
  }
  source.onerror = () => end('cut')

  function end(how) {
    source.close()
    showState(state, 'closed', how)
    start.disabled = false
    // A proxy that collects the response passes all events on at its end.
    const isTogether = arrivals.at(-1) - arrivals[0] < 5
    document.querySelector('#verdict').textContent = isTogether
      ? 'All events came at once: something between collects them.'
      : 'Each event came when it was sent.'
  }
}
