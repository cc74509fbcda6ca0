import { type InjectionKey, inject, onScopeDispose, type Plugin, type ShallowRef, shallowRef } from 'vue'
import type { HubEvent } from './hub-event.ts'
import type { DataOf, EventMap, EventName, HubStream, StreamState } from './hub-stream.ts'
import { type InboxView, inboxStoreOf } from './inbox-store.ts'

const HUB: InjectionKey<HubStream> = Symbol('sse hub')

/** A plugin that gives all components a stream, which the page opens and closes: `app.use(hubPlugin(stream))`. */
export function hubPlugin<Events extends object = EventMap>(stream: HubStream<Events>): Plugin {
  return {
    install: (app) => {
      app.provide(HUB, stream as unknown as HubStream)
    }
  }
}

/** The stream of the app. @throws {Error} without the plugin */
export function useHub<Events extends object = EventMap>(): HubStream<Events> {
  const stream = inject(HUB, undefined)
  if (stream === undefined) throw new Error('the app does not use hubPlugin(stream)')
  return stream as unknown as HubStream<Events>
}

/** Calls the handler for each event, until the component is unmounted. */
export function useEvent<Events extends object = EventMap, Name extends EventName<Events> = EventName<Events>>(
  name: Name,
  handler: (event: HubEvent<DataOf<Events, Name>, Name>) => unknown
): void {
  onScopeDispose(useHub<Events>().onEvent(name, handler))
}

/** The state of the stream. */
export function useHubState(): Readonly<ShallowRef<StreamState>> {
  const stream = useHub()
  const state = shallowRef(stream.state)
  onScopeDispose(
    stream.on('state', (next) => {
      state.value = next
    })
  )
  return state
}

/** The inbox of the user. */
export function useInbox(): Readonly<ShallowRef<InboxView>> {
  const store = inboxStoreOf(useHub())
  const view = shallowRef(store.view)
  onScopeDispose(
    store.onChange(() => {
      view.value = store.view
    })
  )
  return view
}
