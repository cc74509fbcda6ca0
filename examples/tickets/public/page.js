import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const element = (id) => document.getElementById(id)
/** How long the page waits before it asks for a ticket again, in milliseconds. */
const RETRY = 3_000

/** The token is in memory alone: a script of another page cannot read it, and a reload logs in again. */
let token
let user
let stream
let source
let timer

for (const name of ['alice', 'bob']) element(name).onclick = () => attempt(login(name))
element('notify').onclick = () => attempt(call('POST', 'notifications'))
element('revoke').onclick = () => attempt(call('DELETE', `hub-api/users/${user}/tickets`))

const attempt = (work) =>
  work.catch(({ message }) => {
    element('user').textContent = message
  })

async function renewToken() {
  token = (await post('login', { user })).token
}

async function login(name) {
  stream?.close()
  source?.close()
  clearTimeout(timer)
  user = name
  await renewToken()
  element('user').textContent = user
  for (const id of ['notify', 'revoke']) element(id).disabled = false

  // The client asks for credentials before the token expires, and after a 401.
  stream = connect('hub-api/events?topics=news', {
    async auth(reason) {
      if (reason !== 'first') await renewToken()
      return { headers: { authorization: `Bearer ${token}` } }
    }
  })
  stream.on('state', ({ name }) => showState(element('token-state'), name))
  stream.on('notification', ({ data }) => add(element('by-token'), data.at))

  await openSource()
}

/** An event source sends no header, so it takes a ticket. It is closed for good when the ticket is no longer valid. */
async function openSource(lastEventId = '') {
  let id = lastEventId
  const again = () => {
    showState(element('ticket-state'), 'waiting')
    timer = setTimeout(() => openSource(id).catch(again), RETRY)
  }
  const { ticket } = await call('POST', 'hub-api/tickets', {})
  const own = new EventSource(`hub-api/events?${new URLSearchParams({ ticket, topics: 'news', lastEventId })}`)
  source = own
  own.onopen = () => showState(element('ticket-state'), 'open')
  own.addEventListener('notification', ({ data }) => add(element('by-ticket'), JSON.parse(data).at))
  // The hub's own events have ids, too: a page that has heard nothing else resumes from there.
  for (const name of ['hub.welcome', 'hub.heartbeat', 'notification'])
    own.addEventListener(name, (event) => {
      id = event.lastEventId
    })
  own.onerror = () => {
    if (own.readyState === EventSource.CLOSED && own === source) openSource(id).catch(again)
  }
}

/** Calls a route with the token, and with a new one if that has expired. */
async function call(method, path, body) {
  const request = () =>
    fetch(path, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) })
    })
  let response = await request()
  if (response.status === 401) {
    await renewToken()
    response = await request()
  }
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response.json()
}
