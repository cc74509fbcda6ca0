import { add, showState } from './feed.js'

const feed = document.querySelector('.feed')
const state = document.querySelector('.state')
const [start, stop] = document.querySelectorAll('button')
let source

document.querySelector('form').onsubmit = (event) => {
  event.preventDefault()
  feed.replaceChildren()
  const question = event.target.elements.question.value
  source = new EventSource(`ten-events/events?${new URLSearchParams(question && { question })}`)
  showState(state, 'connecting')
  source.onopen = () => showState(state, 'open')
  source.onmessage = ({ data }) => add(feed, data)
  // The end of the stream. A page that does not close here gets 204 when it returns, and `onerror`.
  source.addEventListener('hub.close', () => end('complete'))
  source.onerror = () => end('cut')
  isRunning(true)
}
stop.onclick = () => end('stopped')

function end(how) {
  source.close()
  showState(state, 'closed', how)
  isRunning(false)
}

function isRunning(is) {
  start.disabled = is
  stop.disabled = !is
}
