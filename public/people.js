import { closeUser } from './api.js'
import { avatar } from './avatar.js'
import { byId, el, icon } from './dom.js'
import { onSubmit, showError, showResult } from './result.js'

const MOST = 8

/** The online users, and the form that closes all streams of a user for good. */
export function people(onClosed) {
  const result = byId('close-result')

  const close = async (user) => {
    const { closed } = await closeUser(user)
    showResult(result, 'close.closed', { n: closed, user })
    onClosed()
  }
  onSubmit(byId('close-form'), result, (fields) => close(fields.get('user')))

  let shown = ''
  return function show({ users, next }) {
    // Drawn only on a change: a poll every three seconds must not replace a button that is being pressed.
    const state = JSON.stringify(users)
    if (state === shown) return
    shown = state
    byId('people-none').hidden = users.length > 0
    byId('people-list').replaceChildren(
      ...users.slice(0, MOST).map(({ user, streams }) =>
        el(
          'li',
          {},
          avatar(user),
          el('span', { class: 'who', text: user }),
          el('span', { class: 'fact', say: 'people.streams', params: { n: streams } }),
          el(
            'button',
            {
              class: 'bare',
              type: 'button',
              'data-user': user,
              on: { click: () => close(user).catch((error) => showError(result, error)) }
            },
            icon('remove'),
            el('span', { class: 'unseen', say: 'people.close', params: { user } })
          )
        )
      ),
      users.length > MOST || next
        ? el('li', { class: 'fact', say: 'people.more', params: { n: users.length - MOST, next } })
        : ''
    )
    byId('known-users').replaceChildren(...users.map(({ user }) => el('option', { value: user })))
  }
}
