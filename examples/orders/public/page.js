import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const [state, leave, orders, mails] = ['.state', '#leave', '#orders', '#mails'].map((each) =>
  document.querySelector(each)
)
let stream

function open() {
  stream = connect('events', { persist: 'session' })
  stream.on('state', ({ name }) => showState(state, name))
  stream.on('order.placed', ({ id, data }) => {
    add(orders, `order ${data.id} was placed`)
    // Seen, so no e-mail is needed.
    post('read', { upTo: id }).catch(({ message }) => add(orders, message))
  })
  stream.on('order.status', ({ data }) => add(orders, `order ${data.id} is ${data.status}`))
}
open()

document.querySelector('#order').onclick = () => post('orders').catch(({ message }) => add(orders, message))
leave.onclick = () => {
  if (stream === undefined) open()
  else {
    stream.close()
    stream = undefined
  }
  leave.textContent = stream === undefined ? 'Return' : 'Leave'
}

const mailbox = new EventSource('mailbox')
mailbox.addEventListener('mail', ({ data }) => {
  const { to, subject } = JSON.parse(data)
  add(mails, `to ${to}: ${subject}`)
})
