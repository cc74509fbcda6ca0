import { useEffect, useRef, useState } from 'preact/hooks'
import { store } from '../hub/event-store.ts'
import { may, mayIssueTickets } from '../hub/health.ts'
import { cut } from '../hub/replay-story.ts'
import { streams } from '../hub/streams.ts'
import { keyDialogIsOpen } from '../state/credentials.ts'
import { openStreamDialog, palette, sendDialog, ticketDialog } from '../state/dialogs.ts'
import { logView } from '../state/log-view.ts'
import { language, learn, THEMES, theme } from '../state/preferences.ts'
import { go, VIEWS } from '../state/route.ts'
import { t } from '../texts/texts.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Icon, type IconName } from '../ui/icon.tsx'

interface Command {
  readonly icon: IconName
  readonly text: string
  readonly keys?: string
  readonly run: () => void
}

function commands(): Command[] {
  return [
    { icon: 'plus', text: t('open.title'), keys: 'O', run: () => (openStreamDialog.value = true) },
    ...only(may('publish'), { icon: 'send', text: t('send.title'), keys: 'S', run: () => (sendDialog.value = true) }),
    ...only(may('publish') && may('close'), {
      icon: 'cut',
      text: t('streams.cutAll'),
      run: () => void cut(streams.value)
    }),
    ...only(mayIssueTickets(), { icon: 'key', text: t('ticket.title'), run: () => (ticketDialog.value = 'alice') }),
    { icon: 'pause', text: t('log.pause'), keys: 'P', run: () => logView.pause(!logView.isPaused.value) },
    { icon: 'trash', text: t('log.clear'), run: () => store.clear() },
    ...VIEWS.map((view) => ({
      icon: view,
      text: t('palette.go', { view: t(`nav.${view}`) }),
      run: () => go({ view, subject: '' })
    })),
    {
      icon: 'learn',
      text: t('nav.learn'),
      run: () => {
        learn.value = 'shown'
        go({ view: 'live' })
      }
    },
    { icon: 'key', text: t('key.title'), run: () => (keyDialogIsOpen.value = true) },
    ...THEMES.map((name) => ({
      icon: ({ system: 'system', light: 'sun', dark: 'moon' } as const)[name],
      text: t('palette.theme', { theme: t(`theme.${name}`) }),
      run: () => (theme.value = name)
    })),
    {
      icon: 'learn',
      text: language.value === 'zh' ? 'English' : '中文',
      run: () => (language.value = language.value === 'zh' ? 'en' : 'zh')
    }
  ]
}

const only = (isAllowed: boolean, command: Command) => (isAllowed ? [command] : [])

/** Every action that the credentials allow, by its name. */
export function Palette() {
  return palette.value ? <OpenPalette /> : null
}

function OpenPalette() {
  const [text, setText] = useState('')
  const [active, setActive] = useState(0)
  const list = useRef<HTMLDivElement>(null)
  const close = () => (palette.value = false)
  const wanted = text.trim().toLowerCase()
  const found = commands().filter((command) => command.text.toLowerCase().includes(wanted))
  const user = text.trim()
  const all: Command[] =
    user === ''
      ? found
      : [
          ...found,
          { icon: 'users', text: t('palette.user', { user }), run: () => go({ view: 'users', subject: user }) }
        ]
  const index = Math.min(active, all.length - 1)
  useEffect(() => {
    list.current?.children[index]?.scrollIntoView({ block: 'nearest' })
  }, [index])
  const choose = (command: Command | undefined) => {
    close()
    // After the dialog is gone, so that the next one gets the focus.
    setTimeout(() => command?.run())
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setActive((index + 1) % all.length)
    else if (event.key === 'ArrowUp') setActive((index - 1 + all.length) % all.length)
    else if (event.key === 'Enter') choose(all[index])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title={t('palette.title')} kind="palette" onClose={close}>
      <input
        class="palette-input"
        role="combobox"
        aria-label={t('palette.label')}
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={`command-${index}`}
        aria-autocomplete="list"
        placeholder={t('palette.label')}
        value={text}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => {
          setText(event.currentTarget.value)
          setActive(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div class="palette-list" id="palette-list" role="listbox" aria-label={t('palette.title')} ref={list}>
        {all.map((command, at) => (
          <div
            key={command.text}
            id={`command-${at}`}
            role="option"
            tabIndex={-1}
            aria-selected={at === index}
            onMouseMove={() => setActive(at)}
            onClick={() => choose(command)}
          >
            <Icon name={command.icon} />
            {command.text}
            {command.keys && <kbd>{command.keys}</kbd>}
          </div>
        ))}
      </div>
    </Dialog>
  )
}
