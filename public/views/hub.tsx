import type { ComponentChildren } from 'preact'
import { settings } from '../hub/api.ts'
import { redraws } from '../hub/frame-clock.ts'
import { health, hubStats, lastAnswer, rights } from '../hub/health.ts'
import type { Settings, Stats } from '../hub/types.ts'
import { credential } from '../state/credentials.ts'
import { age, bytes, duration, number, problemText, t, textOf } from '../texts/texts.ts'
import { Empty, Facts, Problem, Status } from '../ui/parts.tsx'
import { useAnswer } from '../ui/use-answer.ts'
import { ViewHead } from './shell.tsx'

/** The health of the hub, its counts and its settings. Each part names its scope: all nodes, or the node that answered. */
export function Hub() {
  void redraws.value
  const stats = hubStats.value
  return (
    <div class="view">
      <ViewHead title={t('hubView.title')} about={t('hubView.about')} />
      <div class="columns">
        <section aria-labelledby="ready-title">
          <h2 id="ready-title">{t('hubView.health')}</h2>
          <Facts
            of={[
              [t('hubView.readiness'), <Readiness key="readiness" />],
              [t('hubView.answered'), lastAnswer.value ? t('hubView.ago', { age: age(lastAnswer.value) }) : '–'],
              [t('hubView.access'), t(accessKey())]
            ]}
          />
        </section>
        {stats && <Counts of={stats} />}
        {stats && <SettingsInForce />}
      </div>
      {stats === undefined && <Empty>{t(rights.value?.read === false ? 'hubView.noRight' : 'asking')}</Empty>}
    </div>
  )
}

function Readiness() {
  const tone = { ready: 'good', unready: 'wait', away: 'bad', asking: 'wait' }[health.value]
  return <Status tone={tone}>{t(`hub.${health.value}`)}</Status>
}

function accessKey() {
  if (rights.value === undefined) return 'asking'
  if (rights.value.isOpen) return 'hubView.open'
  return rights.value.read ? 'hubView.reads' : 'hubView.readsNot'
}

function Counts({ of: stats }: { of: Stats }) {
  const { cluster, nodes, streams, users, published, opened, closed, refused, states, connections, log } = stats
  return (
    <>
      <Part name="cluster" scope="cluster">
        <Facts
          of={[
            [t('hubView.nodes'), number(nodes)],
            [t('hubView.streams'), number(cluster.streams)],
            [t('hubView.users'), number(cluster.users)]
          ]}
        />
      </Part>
      <Part name="node" scope="node">
        <Facts
          of={[
            [t('hubView.streams'), number(streams)],
            [t('delivery.live'), number(states.live)],
            [t('delivery.replaying'), number(states.replaying)],
            [t('delivery.backpressured'), number(states.backpressured)],
            [t('hubView.users'), number(users)],
            [t('hubView.connections'), ofMax(number(connections.open), connections.max && number(connections.max))],
            [t('hubView.published'), number(published)],
            [t('hubView.opened'), number(opened)]
          ]}
        />
      </Part>
      <Part name="storage" scope="cluster">
        <Facts
          of={[
            [t('hubView.kind'), log.kind],
            [t('hubView.events'), number(log.events)],
            [t('hubView.removed'), number(Math.max(0, log.head - log.events))],
            ...(log.removed === undefined ? [] : removedFacts(log.removed)),
            [t('hubView.bytes'), bytes(log.bytes)],
            [t('hubView.channels'), number(log.channels)],
            [t('hubView.head'), number(log.head)]
          ]}
        />
      </Part>
      <Reasons name="closed" of={closed} />
      <Reasons name="refused" of={refused} />
    </>
  )
}

/** Evictions are gaps for clients that come late; expired events are not. */
function removedFacts({ evicted, expired }: NonNullable<Stats['log']['removed']>): [string, string][] {
  return [
    [t('hubView.evicted'), number(evicted)],
    [t('hubView.expired'), number(expired)]
  ]
}

/** A section with the scope of its numbers: all nodes, or the one that answered. */
function Part({ name, scope, children }: { name: PartName; scope: 'cluster' | 'node'; children: ComponentChildren }) {
  return (
    <section aria-labelledby={`${name}-title`}>
      <h2 id={`${name}-title`}>
        {t(`hubView.${name}`)} <span class="scope">{t(`scope.${scope}`)}</span>
      </h2>
      {children}
    </section>
  )
}

type PartName = 'cluster' | 'node' | 'storage' | 'closed' | 'refused' | 'settings'

const ofMax = (used: string, max: string | null | 0) => (max ? t('hubView.ofMax', { used, max }) : used)

function Reasons({ name, of }: { name: 'closed' | 'refused'; of: Readonly<Record<string, number>> }) {
  const some = Object.entries(of).filter(([, count]) => count > 0)
  some.sort(([, one], [, other]) => other - one)
  return (
    <Part name={name} scope="node">
      {some.length === 0 ? (
        <p class="soft none">{t('hubView.noneYet')}</p>
      ) : (
        <Facts of={some.map(([reason, count]) => [textOf(`${name}.${reason}`, {}, reason), number(count)])} />
      )}
    </Part>
  )
}

/** The settings in force, by the names of the options. */
function SettingsInForce() {
  const { value, problem } = useAnswer(`settings|${credential.value}`, settings)
  return (
    <Part name="settings" scope="node">
      {problem !== undefined && <Problem text={problemText(problem)} />}
      {value && (
        <Facts of={flat(value).map(([name, setting]) => [name, <Setting key={name} {...{ name, setting }} />])} />
      )}
    </Part>
  )
}

function Setting({ name, setting }: { name: string; setting: unknown }) {
  const text = Array.isArray(setting) ? setting.join(', ') || '[]' : String(setting)
  const readable = readableSize(name, setting)
  return (
    <>
      <code>{text}</code>
      {readable && <span class="soft"> {readable}</span>}
    </>
  )
}

const DURATION = /(Interval|Time|Timeout|[aA]ge|Grace|Window|After|Delay)$/

/** Options are in milliseconds and bytes, by their names. */
function readableSize(name: string, value: unknown): string {
  if (typeof value !== 'number' || value < 1_000) return ''
  if (DURATION.test(name)) return duration(value)
  return /bytes$/i.test(name) ? bytes(value) : ''
}

/** `{ retention: { user: 5 } }` → `retention.user`, `5` */
function flat(values: Settings, prefix = ''): [string, unknown][] {
  return Object.entries(values).flatMap(([name, value]): [string, unknown][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? flat(value as Settings, `${prefix}${name}.`)
      : [[`${prefix}${name}`, value]]
  )
}
