import { post } from './feed.js'

const [answer, status, stop] = ['#answer', '#status', '#stop'].map((each) => document.querySelector(each))
let id = new URLSearchParams(location.search).get('answer')
let source

document.querySelector('form').onsubmit = async (event) => {
  event.preventDefault()
  try {
    id = (await post('answers', { question: event.target.elements.question.value })).id
    history.replaceState(null, '', `?answer=${id}`)
    follow()
  } catch ({ message }) {
    status.textContent = message
  }
}
stop.onclick = () => fetch(`answers/${id}`, { method: 'DELETE' })
if (id !== null) follow()

function follow() {
  source?.close()
  answer.replaceChildren()
  stop.disabled = false
  status.textContent = 'the model writes'
  // After a reload all words come again, from the first; after a cut only those that are missing.
  source = new EventSource(`answers/${id}`)
  source.addEventListener('token', ({ data }) => answer.append(JSON.parse(data).text))
  source.addEventListener('done', () => end('complete'))
  source.addEventListener('failure', ({ data }) => end(`incomplete: ${JSON.parse(data).message}`))
}

function end(text) {
  source.close()
  stop.disabled = true
  status.textContent = text
}
