import { post } from './feed.js'

let source
const [percent, status, progress] = ['#percent', '#status', 'progress'].map((each) => document.querySelector(each))

for (const [id, fails] of [
  ['start', false],
  ['start-failing', true]
]) {
  document.getElementById(id).onclick = async () => {
    try {
      const task = await post('tasks', { fails })
      // The address names the task, so a reload follows it, and so does another device.
      history.replaceState(null, '', `?task=${task.id}`)
      follow(task.id)
    } catch ({ message }) {
      status.textContent = message
    }
  }
}

const task = new URLSearchParams(location.search).get('task')
if (task !== null) follow(task)

function follow(id) {
  source?.close()
  source = new EventSource(`tasks/${id}/events`)
  show(0, 'begins')
  source.addEventListener('progress', ({ data }) => show(JSON.parse(data).percent, 'under way'))
  source.addEventListener('done', ({ data }) => end(100, `done: ${JSON.parse(data).url}`))
  source.addEventListener('failure', ({ data }) => end(progress.value, `failed: ${JSON.parse(data).message}`))
  source.onerror = ({ target }) => {
    // After a cut the source returns by itself, with the id of its last event.
    if (target.readyState === EventSource.CLOSED) status.textContent = 'the server does not know this task'
  }
}

function end(value, text) {
  source.close()
  show(value, text)
}

function show(value, text) {
  progress.value = value
  percent.textContent = `${value} %`
  status.textContent = text
}
