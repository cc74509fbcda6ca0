import { may } from '../hub/health.ts'
import { selected } from '../state/dialogs.ts'
import { t } from '../texts/texts.ts'
import { Composer } from './composer.tsx'
import { Drawer } from './drawer.tsx'
import { Learn } from './learn.tsx'
import { Log } from './log.tsx'
import { Metrics } from './metrics.tsx'
import { StreamsRail } from './streams-rail.tsx'

/** The streams of this page with the log that they share. */
export function Live() {
  return (
    <div class="live" data-drawer={selected.value !== undefined || undefined}>
      <h1 class="unseen">{t('nav.live')}</h1>
      <Learn />
      <div class="live-body">
        <div class="side">
          <StreamsRail />
          <Metrics />
        </div>
        <div class="stage">
          <Log />
          {may('publish') && <Composer />}
        </div>
        <Drawer />
      </div>
    </div>
  )
}
