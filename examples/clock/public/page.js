import { showState } from './feed.js'

const element = (id) => document.getElementById(id)
const state = document.querySelector('.state')

const clock = new EventSource('time')
clock.onopen = () => showState(state, 'open')
clock.onerror = () => showState(state, clock.readyState === EventSource.CLOSED ? 'closed' : 'connecting')
clock.addEventListener('time', ({ data }) => {
  const { time, streams } = JSON.parse(data)
  element('time').textContent = new Date(time).toLocaleTimeString()
  element('listeners').textContent = `pages that look: ${streams}`
})

element('start').onclick = () => {
  element('start').disabled = true
  element('end').textContent = ''
  const source = new EventSource('steps')
  source.addEventListener('step', ({ data }) => {
    const { step, of } = JSON.parse(data)
    element('steps').value = step
    element('step').textContent = `${step} of ${of}`
  })
  source.addEventListener('hub.close', ({ data }) => end(JSON.parse(data).reason))
  // A stream with a producer resumes nothing; a task that must go on is the example `task-progress`.
  source.onerror = () => end('cut')

  function end(reason) {
    source.close()
    element('end').textContent = reason
    element('start').disabled = false
  }
}
