import type { AnyDraft, EventDraft, EventMap, LoggedDraft } from '../events/draft.ts'
import { asList } from '../events/target.ts'
import { InboxMethods } from './inbox-methods.ts'
import type { PublishReceipt } from './publish-receipt.ts'
import type { Publisher, PublishOptions, Targeted } from './publisher.ts'

/** The methods of a hub that publish events. */
export abstract class PublishMethods<Events extends object = EventMap> extends InboxMethods {
  /** @internal */
  protected abstract readonly publisher: Publisher

  /** Publishes an event to one or several users: to each of their streams, on every node, and to their history. */
  async send(
    user: string | readonly string[],
    draft: LoggedDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt>
  async send(
    user: string | readonly string[],
    draft: EventDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>>
  async send(
    user: string | readonly string[],
    draft: EventDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>> {
    return this.publisher.publish({ users: asList(user) }, draft as AnyDraft, options)
  }

  /** Publishes an event to one or several topics. A stream that listens to several of them receives it once. */
  async publish(
    topic: string | readonly string[],
    draft: LoggedDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt>
  async publish(
    topic: string | readonly string[],
    draft: EventDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>>
  async publish(
    topic: string | readonly string[],
    draft: EventDraft<Events>,
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>> {
    return this.publisher.publish({ topics: asList(topic) }, draft as AnyDraft, options)
  }

  /** Publishes an event to everyone. */
  async broadcast(draft: LoggedDraft<Events>, options?: PublishOptions): Promise<PublishReceipt>
  async broadcast(draft: EventDraft<Events>, options?: PublishOptions): Promise<PublishReceipt<string | null>>
  async broadcast(draft: EventDraft<Events>, options?: PublishOptions): Promise<PublishReceipt<string | null>> {
    return this.publisher.publish({ everyone: true }, draft as AnyDraft, options)
  }

  /**
   * Publishes several events, all or none, in this order and with no other event between.
   * @throws {BatchTooLargeError} for more than `maxBatch` events; and the error of the first invalid draft.
   */
  async publishBatch(
    drafts: readonly Targeted<LoggedDraft<Events>>[],
    options?: PublishOptions
  ): Promise<PublishReceipt[]>
  async publishBatch(
    drafts: readonly Targeted<EventDraft<Events>>[],
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>[]>
  async publishBatch(
    drafts: readonly Targeted<EventDraft<Events>>[],
    options?: PublishOptions
  ): Promise<PublishReceipt<string | null>[]> {
    return this.publisher.publishBatch(drafts as readonly Targeted<AnyDraft>[], options)
  }
}
