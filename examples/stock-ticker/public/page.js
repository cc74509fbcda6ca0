import { showState } from './feed.js'
import { connect } from './hub/client.js'

const [state, sleep, replayed, body] = ['.state', '#sleep', '#replayed', 'tbody'].map((selector) =>
  document.querySelector(selector)
)
const rows = new Map()
let stream
let lastEventId

function wake() {
  stream = connect('events', { lastEventId })
  stream.on('state', ({ name }) => showState(state, name))
  stream.on('hub.welcome', ({ data }) => {
    replayed.textContent = `events replayed: ${data.replayed}`
  })
  stream.on('price', ({ id, data }) => {
    lastEventId = id
    show(data)
  })
}
wake()

sleep.onclick = () => {
  if (stream === undefined) wake()
  else {
    stream.close()
    stream = undefined
  }
  sleep.textContent = stream === undefined ? 'Wake' : 'Sleep'
}

function show({ share, price, before }) {
  const row = rows.get(share) ?? body.insertRow()
  rows.set(share, row)
  const change = ((price / before - 1) * 100).toFixed(2)
  const cells = [
    ['', share],
    ['number', price.toFixed(2)],
    [`number ${change < 0 ? 'down' : 'up'}`, `${change < 0 ? '' : '+'}${change} %`]
  ]
  row.replaceChildren(
    ...cells.map(([className, textContent]) => Object.assign(document.createElement('td'), { className, textContent }))
  )
}
