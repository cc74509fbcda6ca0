import { add, post, showState } from './feed.js'

const [byId, value] = [(id) => document.getElementById(id), (id) => document.getElementById(id).value]
let source
let request

byId('subscribe').onclick = () => {
  leave()
  const url = `client-ids/subscribe?${new URLSearchParams({ clientId: value('client-id') })}`
  readBySource(url)
  readByRequest(url)
}
byId('send').onclick = () => act('send', { clientId: value('client-id'), content: value('content') })
byId('broadcast').onclick = () => act('broadcast', { content: value('content') })
// First at the server: it closes the streams for good, also those of other tabs and devices.
byId('close').onclick = async () => {
  await act('close', { clientId: value('client-id') })
  leave()
}

function leave() {
  source?.close()
  request?.abort()
  for (const id of ['source-state', 'request-state']) showState(byId(id), 'closed')
}

async function act(name, body) {
  try {
    byId('answer').textContent = JSON.stringify(await post(`client-ids/${name}`, body))
  } catch ({ message }) {
    byId('answer').textContent = message
  }
}

function readBySource(url) {
  source = new EventSource(url)
  source.onopen = () => showState(byId('source-state'), 'open')
  source.onmessage = ({ data }) => add(byId('by-source'), data)
  source.onerror = () =>
    showState(byId('source-state'), source.readyState === EventSource.CLOSED ? 'closed' : 'waiting')
}

/** axios passes `onDownloadProgress` the same request. A call has any part of the text: half an event, or three. */
function readByRequest(url) {
  let offset = 0
  const own = new XMLHttpRequest()
  request = own
  own.open('GET', url)
  own.setRequestHeader('accept', 'text/event-stream')
  own.onprogress = () => {
    showState(byId('request-state'), 'open')
    for (;;) {
      const end = own.responseText.indexOf('\n\n', offset)
      if (end < 0) return
      show(own.responseText.slice(offset, end).split('\n'))
      offset = end + 2
    }
  }
  own.onloadend = () => own === request && showState(byId('request-state'), 'closed')
  own.send()
}

function show(lines) {
  const after = (name) => lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length))
  const [name] = after('event: ')
  if (!name?.startsWith('hub.')) add(byId('by-request'), after('data: ').join('\n'))
}
