import { besidesInboxes, type Channel, isInboxChannel } from '../events/channel.ts'

/**
 * The channels under which a retracting event is filed, or undefined if nothing is retracted; see `NewEvent.retracts`.
 * @param name the name of the event to retract.
 * @param required the channels that the retracting event names: each inbox of them must retain the other event.
 * @param from the channels that the event is removed from.
 */
export function retractedFrom(
  name: string,
  required: readonly Channel[],
  from: readonly Channel[],
  isRetained: (channel: Channel) => boolean
): readonly Channel[] | undefined {
  if (name.startsWith('hub.')) return undefined
  if (!required.every((channel) => !isInboxChannel(channel) || isRetained(channel)) || !from.some(isRetained))
    return undefined
  const channels = besidesInboxes(from)
  return channels.length === 0 ? undefined : channels
}
