import type { EventMap } from '../hub-stream.ts'
import { openSharedStream, type SharedOptions, type SharedStream } from './shared-stream.ts'

/**
 * Opens a stream that all tabs of the origin share which name the same URL and user. Each tab has handlers and a cursor of its
 * own. A tab may receive events of topics that another tab has requested.
 */
export function connectShared<Events extends object = EventMap>(
  url: string | URL,
  options: SharedOptions
): SharedStream<Events> {
  return openSharedStream<Events>(url, options)
}
