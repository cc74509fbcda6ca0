import type { ComponentChildren } from 'preact'
import { redraws } from '../hub/frame-clock.ts'
import { health, hubStats, lastAnswer, may, rights } from '../hub/health.ts'
import { streams } from '../hub/streams.ts'
import { credential, keyDialogIsOpen } from '../state/credentials.ts'
import { palette, sendDialog } from '../state/dialogs.ts'
import { LANGUAGES, language, learn, THEMES, theme } from '../state/preferences.ts'
import { go, route, VIEWS, type View } from '../state/route.ts'
import { number, t } from '../texts/texts.ts'
import { Icon, IconButton } from '../ui/icon.tsx'
import { Status } from '../ui/parts.tsx'

const TONES = { asking: 'wait', ready: 'good', unready: 'wait', away: 'bad' } as const

/** The frame of the console: navigation, the state of the hub, and the view. */
export function Shell({ children }: { children: ComponentChildren }) {
  const { view } = route.value
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={skipToMain}>
        {t('skip')}
      </a>
      <header class="sidebar">
        <Brand />
        <nav aria-label={t('nav.label')}>
          <ul>
            {VIEWS.map((name) => (
              <li key={name}>
                <NavLink view={name} isCurrent={name === view} />
              </li>
            ))}
          </ul>
        </nav>
        <div class="sidebar-end">
          <LearnToggle />
          <KeyButton />
          <Preferences />
        </div>
      </header>
      <main id="main" tabIndex={0} aria-label={t(`nav.${view}`)}>
        {children}
      </main>
      <nav class="tabs" aria-label={t('nav.label')}>
        {VIEWS.map((name) => (
          <NavLink key={name} view={name} isCurrent={name === view} />
        ))}
        {may('publish') && (
          <button type="button" class="tab-send" onClick={() => (sendDialog.value = true)}>
            <Icon name="send" />
            {t('send.send')}
          </button>
        )}
      </nav>
    </div>
  )
}

function skipToMain(event: Event) {
  event.preventDefault()
  document.getElementById('main')?.focus()
}

function Brand() {
  return (
    <div class="brand">
      <img src="logo.svg" alt="" width="26" height="26" />
      <div>
        <strong>SSE Hub</strong>
        <HubState />
      </div>
    </div>
  )
}

/** Whether the hub answers. After an outage it says since when it has not. */
export function HubState() {
  void redraws.value
  const { value } = health
  const seconds = Math.round((Date.now() - lastAnswer.value) / 1_000)
  const since = value === 'away' && lastAnswer.value > 0 ? t('hub.since', { seconds }) : ''
  return (
    <span class="hub-state" role="status">
      <Status tone={TONES[value]}>
        {t(`hub.${value}`)}
        {since && <span class="soft"> {since}</span>}
      </Status>
    </span>
  )
}

function NavLink({ view, isCurrent }: { view: View; isCurrent: boolean }) {
  const counts: Partial<Record<View, number | undefined>> = {
    live: streams.value.length || undefined,
    users: hubStats.value?.cluster.users
  }
  const count = counts[view]
  return (
    <a
      href={`#/${view}`}
      class="nav-link"
      aria-current={isCurrent ? 'page' : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return
        event.preventDefault()
        go({ view, subject: '' })
      }}
    >
      <Icon name={view} />
      <span>{t(`nav.${view}`)}</span>
      {count !== undefined && <span class="count">{number(count)}</span>}
    </a>
  )
}

function LearnToggle() {
  const isShown = learn.value === 'shown'
  return (
    <button
      type="button"
      class="nav-link"
      aria-pressed={isShown}
      onClick={() => {
        learn.value = isShown && route.value.view === 'live' ? 'hidden' : 'shown'
        go({ view: 'live' })
      }}
    >
      <Icon name="learn" />
      <span>{t('nav.learn')}</span>
    </button>
  )
}

function KeyButton() {
  if (rights.value?.isOpen && !credential.value) return null
  return (
    <button type="button" class="nav-link" onClick={() => (keyDialogIsOpen.value = true)}>
      <Icon name="key" />
      <span>{t(credential.value ? 'key.change' : 'key.unlock')}</span>
    </button>
  )
}

const THEME_ICONS = { system: 'system', light: 'sun', dark: 'moon' } as const

export function Preferences() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'system'
  return (
    <div class="preferences">
      <fieldset class="segments">
        <legend class="unseen">Language / 语言</legend>
        {LANGUAGES.map((name) => (
          <label key={name} lang={name === 'zh' ? 'zh-CN' : 'en'}>
            <input
              type="radio"
              name="language"
              value={name}
              checked={language.value === name}
              onChange={() => (language.value = name)}
            />
            <span>{name === 'zh' ? '中文' : 'English'}</span>
          </label>
        ))}
      </fieldset>
      <IconButton
        icon={THEME_ICONS[theme.value]}
        label={t('theme.next', { theme: t(`theme.${theme.value}`) })}
        onClick={() => (theme.value = next)}
      />
      <IconButton icon="search" label={t('palette.open')} onClick={() => (palette.value = true)} />
    </div>
  )
}

/** The head of a view: its title, what it is about, and its actions. */
export function ViewHead({ title, about, children }: { title: string; about?: string; children?: ComponentChildren }) {
  return (
    <header class="view-head">
      <div>
        <h1>{title}</h1>
        {about && <p class="soft">{about}</p>}
      </div>
      <div class="actions">{children}</div>
    </header>
  )
}
