import { add, post, showState } from './feed.js'

for (const [tenant, example] of [
  ['acme', 'Anvils are back'],
  ['globex', 'The volcano is closed today']
]) {
  const part = document.querySelector('template').content.cloneNode(true).firstElementChild
  const find = (selector) => part.querySelector(selector)
  find('.name').textContent = tenant
  part.id = tenant
  const query = new URLSearchParams({ key: `${tenant}-key`, user: 'alice' })

  const source = new EventSource(`tenants/${tenant}/events?${query}`)
  source.onopen = () => showState(find('.state'), 'open')
  source.onerror = () => showState(find('.state'), source.readyState === EventSource.CLOSED ? 'closed' : 'connecting')
  source.addEventListener('notice', ({ data }) => add(find('.feed'), data))
  source.addEventListener('hub.welcome', ({ data }) => {
    const { online } = JSON.parse(data)
    find('.count').textContent = `streams of ${tenant}: ${online.streams}`
  })

  find('input').value = example
  find('form').onsubmit = (event) => {
    event.preventDefault()
    post(`tenants/${tenant}/notices?${query}`, { text: find('input').value }).catch(({ message }) =>
      add(find('.feed'), message)
    )
  }
  document.querySelector('.grid').append(part)
}
