import { redraws } from '../hub/frame-clock.ts'
import { may } from '../hub/health.ts'
import type { InspectedStream } from '../hub/types.ts'
import { age, bytes, dateTime, number, t } from '../texts/texts.ts'
import { IconButton } from '../ui/icon.tsx'
import { Status } from '../ui/parts.tsx'
import { endStream } from './closing.ts'

const TONES = { live: 'good', replaying: 'wait', backpressured: 'bad' } as const

/** The open streams of a user: of all nodes, with the delivery of those on the node that answers. */
export function UserStreams({ of, onChange }: { of: readonly InspectedStream[]; onChange: () => void }) {
  void redraws.value
  const hasAddresses = of.some(({ address }) => address)
  return (
    <div class="table-box" role="region" aria-label={t('users.openStreams')} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t('stream.id')}</th>
            <th scope="col">{t('stream.state')}</th>
            <th scope="col">{t('stream.position')}</th>
            <th scope="col">{t('stream.age')}</th>
            {hasAddresses && <th scope="col">{t('stream.address')}</th>}
            <th scope="col">{t('stream.topics')}</th>
            {may('close') && (
              <th scope="col">
                <span class="unseen">{t('actions')}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {of.map((stream) => (
            <tr key={stream.id}>
              <td>
                <code>{stream.id}</code>
              </td>
              <td>
                <Delivery of={stream} />
              </td>
              <td>{behindText(stream)}</td>
              <td title={dateTime(stream.since)}>{age(stream.since)}</td>
              {hasAddresses && <td>{stream.address || '–'}</td>}
              <td class="wrap">{stream.topics.join(', ') || '–'}</td>
              {may('close') && <Actions id={stream.id} onChange={onChange} />}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Delivery({ of: { state } }: { of: InspectedStream }) {
  if (state === undefined) return <span class="soft">{t('stream.elsewhere')}</span>
  return <Status tone={TONES[state]}>{t(`delivery.${state}`)}</Status>
}

function behindText({ behind, unsent = 0 }: InspectedStream): string {
  if (behind === undefined) return '–'
  const events = behind === 0 ? t('stream.atHead') : t('stream.behind', { n: number(behind), count: behind })
  return unsent === 0 ? events : `${events}, ${t('stream.unsent', { size: bytes(unsent) })}`
}

function Actions({ id, onChange }: { id: string; onChange: () => void }) {
  return (
    <td class="row-actions">
      <IconButton icon="cut" label={t('stream.cutOne', { id })} onClick={() => endStream(id, true, onChange)} />
      <IconButton
        icon="ban"
        label={t('stream.closeOne', { id })}
        tone="danger"
        onClick={() => endStream(id, false, onChange)}
      />
    </td>
  )
}
