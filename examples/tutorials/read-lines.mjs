// A client that reads lines, without a parser of event streams: node examples/tutorials/read-lines.mjs
const { 2: url = 'http://127.0.0.1:3000/line-reader/chat/completions', 3: question = 'Why lines?' } = process.argv

const response = await fetch(url, {
  method: 'POST',
  headers: { accept: 'text/event-stream', authorization: 'Bearer demo', 'content-type': 'application/json' },
  body: JSON.stringify({ question })
})
if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)

for await (const line of linesOf(response.body)) {
  // Other lines are the name of an event, an id, a comment, or the blank line that ends an event.
  if (!line.startsWith('data: ')) continue
  const data = line.slice('data: '.length)
  if (data === '[DONE]') break
  const { choices } = JSON.parse(data)
  if (choices) process.stdout.write(choices[0].delta.content)
}
process.stdout.write('\n')

/** A chunk may end within a line, and within a character. */
async function* linesOf(body) {
  let rest = ''
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    yield* lines
  }
}
