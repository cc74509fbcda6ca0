import { cutStream, publish } from './api.js'
import { avatar } from './avatar.js'
import { el, icon } from './dom.js'
import { HubStream } from './hub-stream.js'
import { say } from './i18n.js'
import { action, fact, Panel } from './panel.js'
import { ReplayStory } from './replay-story.js'

const MEANWHILE = 3

/** One stream of one user, as a panel. */
export class StreamPanel extends Panel {
  user
  story = new ReplayStory()
  #id = el('code', { text: '…' })
  #online = el('span', { say: 'panel.asking' })
  #beatAge = el('span', { say: 'panel.nobeat' })
  #beat = el('span', { class: 'beat' }, icon('heart'), this.#beatAge)
  #counts = { received: fact('count.received'), replayed: fact('count.replayed'), gaps: fact('count.gaps') }
  #cut = action('cut', 'panel.cut', () => cut([this]))

  constructor({ user, topics, replay = {} }, onRemove) {
    const stream = new HubStream(
      `events?${new URLSearchParams({ user, ...(topics.length ? { topics } : {}), ...replay })}`,
      { user, topics }
    )
    super(stream, { title: el('h3', { text: user }), avatar: avatar(user) }, onRemove)
    this.user = user
    this.actions.prepend(this.#cut)
    this.actions.after(this.story.root)
    this.head.append(
      el(
        'p',
        { class: 'about' },
        el('span', {}, el('span', { say: 'panel.stream' }), ' ', this.#id),
        topics.length ? el('span', {}, el('span', { say: 'panel.topics' }), ' ', ...topics.map(chip)) : undefined
      ),
      el('p', { class: 'about' }, this.#beat, this.#online),
      el('dl', { class: 'counts' }, ...Object.values(this.#counts).map(({ root }) => root))
    )
    stream.addEventListener('beat', () => this.#pulse())
    stream.addEventListener('welcome', () => this.story.back())
    stream.addEventListener('entry', ({ detail }) => {
      if (detail.kind === 'event') this.story.arrived(detail.id, detail.replayed)
      else if (detail.kind === 'gap') this.story.gap()
    })
    stream.start()
  }

  refresh() {
    super.refresh()
    const { welcome, counts, state, lastSeen } = this.stream
    for (const [name, { root, value }] of Object.entries(this.#counts)) {
      value.textContent = counts[name]
      root.classList.toggle('some', counts[name] > 0)
    }
    if (state === 'closed') this.story.abandon()
    this.#cut.hidden = state === 'closed'
    this.#cut.disabled = !this.canBeCut
    this.#beat.classList.toggle('still', state !== 'open' || this.stream.stale)
    if (!welcome) return
    this.#id.textContent = welcome.stream
    this.#id.title = welcome.stream
    if (welcome.online) say(this.#online, 'panel.online', welcome.online)
    const age = state === 'closed' ? 'panel.over' : 'panel.beat'
    say(this.#beatAge, age, { seconds: Math.round((Date.now() - lastSeen) / 1000) })
  }

  get canBeCut() {
    return this.stream.state === 'open' && Boolean(this.stream.welcome)
  }

  #pulse() {
    this.#beat.classList.remove('pulse')
    // Reading a size makes the browser apply the removal of the class, so that the animation runs again.
    void this.#beat.offsetWidth
    this.#beat.classList.add('pulse')
    this.refresh()
  }
}

/**
 * The replay demonstration. The hub cuts these streams; while they are away, three events are published to each of their
 * users. The EventSources reconnect by themselves and get the events that they missed.
 */
export async function cut(panels) {
  const victims = panels.filter((panel) => panel.canBeCut)
  for (const { story } of victims) story.begin(MEANWHILE)
  const cuts = victims.map(({ stream, story }) => story.tell(cutStream(stream.welcome.stream), 'cut'))
  const wentWell = await Promise.all(cuts)
  // Two streams of one user get the same events, which are published once.
  const away = Map.groupBy(
    victims.filter((_, index) => wentWell[index]),
    (panel) => panel.user
  )
  for (const [user, theirs] of away) {
    for (let n = 1; n <= MEANWHILE; n++) {
      const draft = { event: 'missed', data: { missed: n, of: MEANWHILE } }
      const receipt = publish.user(user, draft)
      await Promise.all(theirs.map(({ story }) => story.tell(receipt, 'published')))
    }
  }
}

const chip = (topic) => el('span', { class: 'chip', text: topic })
