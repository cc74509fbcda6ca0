import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const element = (id) => document.getElementById(id)
const NAMES = ['Ada', 'Grace', 'Edsger', 'Barbara', 'Alan', 'Radia']
const asked = new URLSearchParams(location.search).get('user')
const user = asked ?? `${NAMES[Math.floor(Math.random() * NAMES.length)]}-${Math.floor(Math.random() * 100)}`
element('me').textContent = user

let room = element('room').value
const topic = () => `room/${room}`
/** The ids of the messages that are shown: one may come both in the history and on the stream. */
let shown = new Set()

const stream = connect(`chat/events?${new URLSearchParams({ user })}`, { topics: [topic()] })
stream.on('state', ({ name }) => showState(document.querySelector('.state'), name))
stream.on('message', ({ id, data }) => show({ id, ...data }))
stream.on('presence', ({ data }) => showOnline(data))
stream.once('hub.welcome', () => attempt(enter))
// A part of the history is gone: the room is read again.
stream.on('gap', () => attempt(enter))

element('room').onchange = () => attempt(change)
document.querySelector('form').onsubmit = (event) => {
  event.preventDefault()
  attempt(() => say(event.target.elements.text))
}

async function change() {
  const before = topic()
  room = element('room').value
  await stream.subscribe([topic()])
  await stream.unsubscribe([before])
  await enter()
}

/** The stream listens already, so nothing falls between the history and the stream. */
async function enter() {
  const [messages, { streams }, online] = await Promise.all(
    [`rooms/${room}/messages`, `rooms/${room}`, 'online'].map(async (path) => (await fetch(path)).json())
  )
  shown = new Set()
  element('messages').replaceChildren()
  messages.forEach(show)
  element('listeners').textContent = `pages in this room: ${streams}`
  showOnline(online)
}

async function say(input) {
  const text = input.value
  const { id } = await post(`rooms/${room}/messages`, { user, text })
  show({ id, user, text })
  input.value = ''
}

function show({ id, user: author, text }) {
  if (shown.has(id)) return
  shown.add(id)
  add(element('messages'), `${author}: ${text}`, author === user ? 'hub' : '')
}

function showOnline({ users }) {
  element('online').textContent = users.join(', ')
}

const attempt = (work) => Promise.resolve(work()).catch(({ message }) => add(element('messages'), message))
