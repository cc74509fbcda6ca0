import { add, post, showState } from './feed.js'
import { connect } from './hub/client.js'

const element = (id) => document.getElementById(id)
/** The token is in memory alone: a script of another page cannot read it, and a reload logs in again. */
let token
let stream
let source

for (const user of ['alice', 'bob']) element(user).onclick = () => login(user)
element('notify').onclick = () => call('POST', 'notifications')
element('revoke').onclick = () => call('DELETE', `hub-api/users/${element('user').textContent}/tickets`)

async function login(user) {
  stream?.close()
  source?.close()
  const freshToken = async () => {
    token = (await post('login', { user })).token
  }
  await freshToken()
  element('user').textContent = user
  for (const id of ['notify', 'revoke']) element(id).disabled = false

  // The client asks for credentials before the token expires, and after a 401.
  stream = connect('hub-api/events?topics=news', {
    async auth(reason) {
      if (reason !== 'first') await freshToken()
      return { headers: { authorization: `Bearer ${token}` } }
    }
  })
  stream.on('state', ({ name }) => showState(element('token-state'), name))
  stream.on('notification', ({ data }) => add(element('by-token'), data.at))

  await openSource(freshToken)
}

/** An event source sends no header, so it takes a ticket. When the ticket has expired it is closed for good. */
async function openSource(freshToken, lastEventId = '') {
  const { ticket } = await call('POST', 'hub-api/tickets', {})
  source = new EventSource(`hub-api/events?${new URLSearchParams({ ticket, topics: 'news', lastEventId })}`)
  const own = source
  let id = lastEventId
  const keepId = ({ lastEventId }) => {
    id = lastEventId
  }
  own.onopen = () => showState(element('ticket-state'), 'open')
  own.addEventListener('notification', ({ data }) => add(element('by-ticket'), JSON.parse(data).at))
  // The hub's own events have ids, too: a page that has heard nothing else resumes from there.
  for (const name of ['hub.welcome', 'hub.heartbeat', 'notification']) own.addEventListener(name, keepId)
  own.onerror = async () => {
    if (own.readyState !== EventSource.CLOSED || own !== source) return
    showState(element('ticket-state'), 'waiting')
    await freshToken()
    await openSource(freshToken, id)
  }
}

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) })
  })
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response.json()
}
