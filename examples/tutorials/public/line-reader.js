import { add } from './feed.js'

const [lines, answer] = document.querySelectorAll('.feed')
const button = document.querySelector('button')

document.querySelector('form').onsubmit = async (event) => {
  event.preventDefault()
  lines.replaceChildren()
  answer.replaceChildren()
  button.disabled = true
  try {
    await ask(event.target.elements.question.value)
  } catch ({ message }) {
    answer.append(message)
  }
  button.disabled = false
}

async function ask(question) {
  const response = await fetch('line-reader/chat/completions', {
    method: 'POST',
    headers: { accept: 'text/event-stream', authorization: 'Bearer demo', 'content-type': 'application/json' },
    body: JSON.stringify({ question })
  })
  if (!response.ok) throw new Error(`${response.status}`)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const complete = (rest + value).split('\n')
    // The last piece is a line that has not ended.
    rest = complete.pop()
    for (const line of complete) read(line)
  }
}

function read(line) {
  add(lines, line, line.startsWith('data: ') ? '' : 'hub')
  const [, data] = /^data: (\{.*"choices".*\})$/.exec(line) ?? []
  if (data) answer.append(JSON.parse(data).choices[0].delta.content)
}
