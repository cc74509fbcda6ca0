import { add, post, showState } from './feed.js'

const [feed, state, answer] = ['.feed', '.state', '#answer'].map((each) => document.querySelector(each))

const source = new EventSource('events?user=alice')
source.onopen = () => showState(state, 'open')
source.onerror = () => showState(state, source.readyState === EventSource.CLOSED ? 'closed' : 'connecting')
source.addEventListener('order.shipped', ({ data }) => add(feed, `order ${JSON.parse(data).id} has left`))

document.querySelector('#ship').onclick = async () => {
  try {
    answer.textContent = `streams reached: ${(await post('orders/7/ship')).streams}`
  } catch ({ message }) {
    answer.textContent = message
  }
}
