import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const [feed, state, answer] = ['.feed', '.state', '#answer'].map((each) => document.querySelector(each))

const stream = connect('events', { persist: 'session' })
stream.on('state', ({ name }) => showState(state, name))
stream.on('order.placed', ({ data }) => add(feed, `order ${data.id}: ${data.quantity} pieces`))

const order = (quantity) => async () => {
  try {
    answer.textContent = `order ${(await post('orders', { quantity })).id} is committed`
  } catch ({ message }) {
    answer.textContent = message
  }
}
document.querySelector('#order').onclick = order(3)
document.querySelector('#fail').onclick = order(0)
