import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const [login, home, feed, state, refusal] = ['#login', '#home', '.feed', '.state', '#refusal'].map((each) =>
  document.querySelector(each)
)
let stream

login.onsubmit = async (event) => {
  event.preventDefault()
  try {
    const { user, password } = login.elements
    enter(await post('login', { user: user.value, password: password.value }))
  } catch ({ message }) {
    refusal.textContent = message
  }
}

document.querySelector('#notify').onclick = () => post('notifications').catch(({ message }) => add(feed, message))
document.querySelector('#logout').onclick = () => fetch('logout', { method: 'POST' })

function enter({ user }) {
  login.hidden = true
  home.hidden = false
  document.querySelector('#user').textContent = user
  feed.replaceChildren()
  stream = connect('events', { persist: 'session', user })
  stream.on('state', ({ name }) => showState(state, name))
  stream.on('notification', ({ data }) => add(feed, `notified at ${new Date(data.at).toLocaleTimeString()}`))
  // 401: this session has ended, here or in another tab.
  stream.on('close', leave)
}

function leave({ reason }) {
  login.hidden = false
  home.hidden = true
  refusal.textContent = reason === 'unauthorized' ? 'logged out' : `the stream has ended: ${reason}`
}

// A reload stays logged in.
const response = await fetch('me')
if (response.ok) enter(await response.json())
