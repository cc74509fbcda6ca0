import type { EventMap, HubStream } from './hub-stream.ts'
import { openStream } from './open-stream.ts'
import type { StreamOptions } from './options.ts'

/**
 * Opens a stream of a hub, which begins after the current task: handlers that are added at once miss nothing.
 * @param url the address of the events, such as `/events`
 */
export function connect<Events extends object = EventMap>(
  url: string | URL,
  options: StreamOptions = {}
): HubStream<Events> {
  return openStream<Events>(url, options)
}
