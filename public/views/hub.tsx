import { redraws } from '../hub/frame-clock.ts'
import { health, hubStats, lastAnswer, rights } from '../hub/health.ts'
import type { Stats } from '../hub/types.ts'
import { age, bytes, number, t, textOf } from '../texts/texts.ts'
import { Empty, Facts, Status } from '../ui/parts.tsx'
import { ViewHead } from './shell.tsx'

/** The health of the hub, with what is of all nodes and what is of the node that answered. */
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

function Counts({ of: { cluster, streams, users, published, opened, closed, refused, log } }: { of: Stats }) {
  return (
    <>
      <section aria-labelledby="cluster-title">
        <h2 id="cluster-title">
          {t('hubView.cluster')} <span class="scope">{t('scope.cluster')}</span>
        </h2>
        <Facts
          of={[
            [t('hubView.streams'), number(cluster.streams)],
            [t('hubView.users'), number(cluster.users)]
          ]}
        />
      </section>
      <section aria-labelledby="node-title">
        <h2 id="node-title">
          {t('hubView.node')} <span class="scope">{t('scope.node')}</span>
        </h2>
        <Facts
          of={[
            [t('hubView.streams'), number(streams)],
            [t('hubView.users'), number(users)],
            [t('hubView.published'), number(published)],
            [t('hubView.opened'), number(opened)]
          ]}
        />
      </section>
      <section aria-labelledby="storage-title">
        <h2 id="storage-title">
          {t('hubView.storage')} <span class="scope">{t('scope.cluster')}</span>
        </h2>
        <Facts
          of={[
            [t('hubView.kind'), log.kind],
            [t('hubView.events'), number(log.events)],
            [t('hubView.bytes'), bytes(log.bytes)],
            [t('hubView.channels'), number(log.channels)],
            [t('hubView.head'), number(log.head)]
          ]}
        />
      </section>
      <Reasons title={t('hubView.closed')} id="closed" of={closed} prefix="closed" />
      <Reasons title={t('hubView.refused')} id="refused" of={refused} prefix="refused" />
    </>
  )
}

function Reasons({ title, id, of, prefix }: { title: string; id: string; of: Record<string, number>; prefix: string }) {
  const some = Object.entries(of).filter(([, count]) => count > 0)
  some.sort(([, one], [, other]) => other - one)
  return (
    <section aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>
        {title} <span class="scope">{t('scope.node')}</span>
      </h2>
      {some.length === 0 ? (
        <p class="soft">{t('hubView.noneYet')}</p>
      ) : (
        <Facts of={some.map(([reason, count]) => [textOf(`${prefix}.${reason}`, {}, reason), number(count)])} />
      )}
    </section>
  )
}
