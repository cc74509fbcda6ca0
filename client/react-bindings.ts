import {
  createContext,
  createElement,
  type FunctionComponentElement,
  type ProviderProps,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useRef,
  useSyncExternalStore
} from 'react'
import type { HubEvent } from './hub-event.ts'
import type { DataOf, EventMap, EventName, HubStream, StreamState } from './hub-stream.ts'
import { type InboxView, inboxStoreOf } from './inbox-store.ts'

const HubContext = createContext<HubStream | undefined>(undefined)

/** A stream of any events. */
type AnyHubStream = Omit<HubStream, 'on' | 'onEvent' | 'once' | typeof Symbol.asyncIterator>

/** Gives its components a stream, which the page opens and closes. */
export function HubProvider({
  stream,
  children
}: {
  readonly stream: AnyHubStream
  readonly children?: ReactNode
}): FunctionComponentElement<ProviderProps<HubStream | undefined>> {
  return createElement(HubContext.Provider, { value: stream as HubStream }, children)
}

/** The stream of the provider. @throws {Error} outside of one */
export function useHub<Events extends object = EventMap>(): HubStream<Events> {
  const stream = useContext(HubContext)
  if (stream === undefined) throw new Error('the component is not within a HubProvider')
  return stream as unknown as HubStream<Events>
}

/** Calls the newest handler for each event, while the component is mounted. */
export function useEvent<Events extends object = EventMap, Name extends EventName<Events> = EventName<Events>>(
  name: Name,
  handler: (event: HubEvent<DataOf<Events, Name>, Name>) => unknown
): void {
  const stream = useHub<Events>()
  const newest = useRef(handler)
  useEffect(() => {
    newest.current = handler
  })
  useEffect(() => stream.onEvent(name, (event) => newest.current(event)), [stream, name])
}

/** The state of the stream; the component renders at each change. */
export function useHubState(): StreamState {
  const stream = useHub()
  const state = () => stream.state
  const onState = useCallback((changed: () => void) => stream.on('state', changed), [stream])
  return useSyncExternalStore(onState, state, state)
}

/** The inbox of the user; the component renders at each change. */
export function useInbox(): InboxView {
  const store = inboxStoreOf(useHub())
  const view = () => store.view
  return useSyncExternalStore(store.onChange, view, view)
}
