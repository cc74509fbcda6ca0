import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const [feed, state, progress] = ['.feed', '.state', 'progress'].map((each) => document.querySelector(each))

const stream = connect('hub-api/events')
stream.on('state', ({ name }) => showState(state, name))
stream.on('step', ({ data: { job, step, of } }) => {
  progress.max = of
  progress.value = step
  add(feed, `${job.slice(0, 8)}: step ${step} of ${of}`)
})

const act = (path) => () => post(path).catch(({ message }) => add(feed, message))
document.querySelector('#start').onclick = act('jobs')
document.querySelector('#kill').onclick = act('worker/kill')
