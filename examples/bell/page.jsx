import { connect } from 'fastify-sse-hub/client'
import { HubProvider, useHub, useHubState, useInbox } from 'fastify-sse-hub/client/react'
import { useState } from 'react'
import { createRoot } from 'react-dom/client'

function Bell() {
  const { events, unread = 0, error, markRead } = useInbox()
  const [isOpen, setOpen] = useState(false)
  const [problem, setProblem] = useState('')
  const attempt = (work) => work.then(() => setProblem('')).catch(({ message }) => setProblem(message))

  return (
    <section>
      <p className="row">
        <button type="button" id="bell" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          🔔 <strong id="unread">{unread}</strong>
        </button>
        <button type="button" id="read" disabled={unread === 0} onClick={() => attempt(markRead())}>
          Mark all as read
        </button>
        <State />
      </p>
      {(problem || error) && <p role="alert">{problem || error.message}</p>}
      {isOpen && (
        <ol className="feed" aria-live="polite" data-empty="no comment yet">
          {events.map(({ id, data, isRead }) => (
            <li key={id} className={isRead ? 'hub' : ''}>
              {isRead ? '' : '● '}
              <Comment json={data} />
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}

function Comment({ json }) {
  const { by, text } = JSON.parse(json)
  return `${by}: ${text}`
}

function State() {
  const { name } = useHubState()
  return (
    <span className="state" data-state={name}>
      {name}
    </span>
  )
}

function Comments() {
  const { state } = useHub()
  const [text, setText] = useState('I like it')
  const [problem, setProblem] = useState('')
  const submit = async (event) => {
    event.preventDefault()
    const response = await fetch('users/alice/comments', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ by: 'bob', text })
    })
    setProblem(response.ok ? '' : (await response.json()).message)
  }
  return (
    <form className="card row" onSubmit={submit}>
      <input
        aria-label="comment"
        value={text}
        maxLength={1000}
        required
        onChange={({ target }) => setText(target.value)}
      />
      <button type="submit" className="main" disabled={state.name === 'closed'}>
        Bob comments
      </button>
      {problem && <small role="alert">{problem}</small>}
    </form>
  )
}

const stream = connect('hub-api/events?user=alice')
createRoot(document.getElementById('app')).render(
  <HubProvider stream={stream}>
    <Bell />
    <Comments />
  </HubProvider>
)
