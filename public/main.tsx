import { render } from 'preact'
import { watchHealth } from './hub/health.ts'
import { openStreamsOfUrl } from './hub/streams.ts'
import { route } from './state/route.ts'
import { listenForKeys } from './state/shortcuts.ts'
import { SendDialog } from './views/composer.tsx'
import { ConfirmDialog } from './views/confirm-dialog.tsx'
import { Diagnose } from './views/diagnose.tsx'
import { Hub } from './views/hub.tsx'
import { KeyDialog } from './views/key-dialog.tsx'
import { Live } from './views/live.tsx'
import { ActionAnnouncer } from './views/log-announcer.tsx'
import { OpenStreamDialog } from './views/open-stream.tsx'
import { Palette } from './views/palette.tsx'
import { Shell } from './views/shell.tsx'
import { TicketDialog } from './views/ticket-dialog.tsx'
import { Topics } from './views/topics.tsx'
import { Users } from './views/users.tsx'

const VIEWS = { live: Live, users: Users, topics: Topics, hub: Hub, diagnose: Diagnose }

function Console() {
  const View = VIEWS[route.value.view]
  return (
    <>
      <Shell>
        <View />
      </Shell>
      <OpenStreamDialog />
      <SendDialog />
      <KeyDialog />
      <TicketDialog />
      <ConfirmDialog />
      <Palette />
      <ActionAnnouncer />
    </>
  )
}

watchHealth()
openStreamsOfUrl()
listenForKeys()
render(<Console />, document.getElementById('app') as HTMLElement)
