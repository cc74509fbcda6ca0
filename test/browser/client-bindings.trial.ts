import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { Gateway } from '../support/gateway.ts'
import { allSnippets } from '../support/snippets.ts'
import { launchEngines, untilIn as until } from './engines.ts'

t.setTimeout(200_000)

const BUNDLER = '../../scripts/bundle-client.mjs'
const { pageProgram } = (await import(BUNDLER)) as { pageProgram(contents: string): Promise<string> }

const CONNECT = `
import { connect } from './client.ts'
window.stream = connect('/hub/events?user=alice', { random: () => 0 })
`

const REACT = `${CONNECT}
import { createElement as h, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { HubProvider, useEvent, useHubState, useInbox } from './client-react.ts'
function Orders() {
  const [orders, setOrders] = useState([])
  useEvent('order', ({ data }) => setOrders((before) => [...before, data.number]))
  const { unread, events, markRead } = useInbox()
  return h('main', null,
    h('p', { id: 'state' }, useHubState().name),
    h('p', { id: 'orders' }, orders.join()),
    h('p', { id: 'unread' }, unread),
    h('p', { id: 'inbox' }, events.map(({ data, isRead }) => JSON.stringify(data) + isRead).join()),
    h('button', { onClick: () => markRead() }, 'Read'))
}
const root = createRoot(document.getElementById('app'))
root.render(h(HubProvider, { stream }, h(Orders)))
window.unmount = () => root.unmount()
`

const VUE = `${CONNECT}
import { createApp, h, ref } from 'vue'
import { hubPlugin, useEvent, useHubState, useInbox } from './client-vue.ts'
const app = createApp({
  setup() {
    const orders = ref([])
    useEvent('order', ({ data }) => { orders.value = [...orders.value, data.number] })
    const state = useHubState()
    const inbox = useInbox()
    return () => h('main', null, [
      h('p', { id: 'state' }, state.value.name),
      h('p', { id: 'orders' }, orders.value.join()),
      h('p', { id: 'unread' }, inbox.value.unread),
      h('p', { id: 'inbox' }, inbox.value.events.map(({ data, isRead }) => JSON.stringify(data) + isRead).join()),
      h('button', { onClick: () => inbox.value.markRead() }, 'Read')
    ])
  }
})
app.use(hubPlugin(stream)).mount('#app')
window.unmount = () => app.unmount()
`

const textIs = (id: string, text: string) => `document.getElementById('${id}').textContent === '${text}'`

/** The examples of the documentation that show orders, by a text of each, and the texts that they show before and after one. */
const EXAMPLES: [string, RegExp, RegExp][] = [
  ["connect('/events?topics=news', { persist: 'session' })", /^$/, /order {"id":42} has left/],
  ['HubProvider', /open: 0 orders have left, 0 unread/, /open: 1 orders have left, 0 unread/],
  ['hubPlugin', /open: 0 orders have left, 0 unread/, /open: 1 orders have left, 0 unread/]
]

for (const engine of await launchEngines(t)) {
  for (const [text, before, shown] of EXAMPLES) {
    t.test(`${engine.name}: the example with ${text} runs in a page`, { skip: engine.skip }, async (t) => {
      const example = allSnippets().find(({ where, code }) => where.startsWith('docs/client.md') && code.includes(text))
      const app = Fastify({ forceCloseConnections: true })
      await app.register(sseHub)
      await app.register(hubRoutes, { authenticate: () => ({ user: 'alice' }), authorizeTopic: () => true })
      await app.listen({ host: '127.0.0.1', port: 0 })
      const gateway = new Gateway()
      gateway.target = (app.server.address() as AddressInfo).port
      gateway.files.set('/page.js', { type: 'text/javascript', text: await pageProgram(example?.code ?? '') })
      const html = '<!doctype html><body><div id="app"></div><script type="module" src="/page.js"></script>'
      gateway.files.set('/', { type: 'text/html', text: html })
      await gateway.start()
      t.teardown(async () => {
        await gateway.close()
        await app.close()
      })
      const opened = new Promise((resolve) => app.sse.on('open', resolve))
      const tab = await engine.newTab()
      t.teardown(() => tab.close())
      await tab.goto(gateway.url)
      await opened
      // Components hear events once they are mounted.
      await until(tab, `${before}.test(document.getElementById('app').textContent)`)
      await app.sse.send('alice', { event: 'order.shipped', data: { id: 42 } })
      await until(tab, `${shown}.test(document.getElementById('app').textContent)`)
      t.pass(`it shows ${shown}`)
    })
  }

  for (const [name, program] of [
    ['React', REACT],
    ['Vue', VUE]
  ] as const) {
    t.test(
      `${engine.name}: components of ${name} show events, the state and the inbox`,
      { skip: engine.skip },
      async (t) => {
        const app = Fastify({ forceCloseConnections: true })
        await app.register(sseHub, { reconnectionTime: 100 })
        await app.register(hubRoutes, {
          prefix: '/hub',
          authenticate: ({ query }) => ({ user: (query as { user: string }).user })
        })
        await app.listen({ host: '127.0.0.1', port: 0 })
        const gateway = new Gateway()
        gateway.target = (app.server.address() as AddressInfo).port
        gateway.files.set('/page.js', { type: 'text/javascript', text: await pageProgram(program) })
        const html =
          '<!doctype html><meta charset="utf-8"><body><div id="app"></div><script type="module" src="/page.js"></script>'
        gateway.files.set('/', { type: 'text/html', text: html })
        await gateway.start()
        t.teardown(async () => {
          await gateway.close()
          await app.close()
        })
        const tab = await engine.newTab()
        t.teardown(() => tab.close())
        await tab.goto(gateway.url)
        await until(tab, textIs('state', 'open'))
        for (const number of [1, 2]) await app.sse.send('alice', { event: 'order', data: { number } })
        await until(tab, textIs('orders', '1,2'))
        await app.sse.send('alice', { event: 'note', data: 'hello', inbox: true })
        await until(tab, `${textIs('unread', '1')} && ${textIs('inbox', '"hello"false')}`)
        await tab.evaluate("document.querySelector('button').click()")
        await until(tab, `${textIs('unread', '0')} && ${textIs('inbox', '"hello"true')}`)
        gateway.answer({ status: 502 })
        await until(tab, 'stream.counters.opened >= 2')
        await until(tab, textIs('state', 'open'))
        await app.sse.send('alice', { event: 'order', data: { number: 3 } })
        await until(tab, textIs('orders', '1,2,3'))
        await tab.evaluate('unmount()')
        await app.sse.send('alice', { event: 'order', data: { number: 4 } })
        await until(tab, 'stream.counters.events >= 6')
        t.equal(
          await tab.evaluate('document.getElementById("app").textContent'),
          '',
          'nothing is left after unmounting'
        )
        t.equal(await tab.evaluate('stream.state.name'), 'open', 'the page closes its stream itself')
      }
    )
  }
}
