import { useState } from 'preact/hooks'
import { history, type Target } from '../hub/api.ts'
import { problemText, t } from '../texts/texts.ts'
import { IconButton } from '../ui/icon.tsx'
import { Empty, Pager, Problem } from '../ui/parts.tsx'
import { useAnswer } from '../ui/use-answer.ts'
import { EventTable } from './event-table.tsx'

const PAGE = 50

/** The retained events of a target, the oldest first, page by page. */
export function HistoryBrowser({ target }: { target: Target }) {
  const [pages, setPages] = useState<readonly string[]>([])
  const after = pages.at(-1) ?? ''
  const key = `${target.kind}|${'name' in target ? target.name : ''}|${after}`
  const { value, problem, isAsking, reload } = useAnswer(key, () => history(target, { after, limit: PAGE }))
  const isFull = value?.events.length === PAGE
  return (
    <>
      {problem !== undefined && <Problem text={problemText(problem)} />}
      {value && !value.complete && <p class="notice">{t('history.incomplete')}</p>}
      {value && value.events.length > 0 && <EventTable events={value.events} />}
      {value?.events.length === 0 && <Empty>{t(pages.length > 0 ? 'history.end' : 'history.none')}</Empty>}
      <Pager
        back={pages.length > 0 ? () => setPages(pages.slice(0, -1)) : undefined}
        on={isFull ? () => setPages([...pages, value.cursor]) : undefined}
        backLabel={t('history.older')}
        onLabel={t('history.newer')}
      >
        <span class="soft">{isAsking ? t('asking') : ''}</span>
        <IconButton icon="again" label={t('reload')} onClick={reload} />
      </Pager>
    </>
  )
}
