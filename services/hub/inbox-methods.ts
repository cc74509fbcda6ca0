import { InvalidRequestError } from '../errors.ts'
import type { EventLog } from '../event-log/event-log.ts'
import { userChannel } from '../events/channel.ts'
import { markRead, type Read, retract } from '../inbox/inbox-changes.ts'
import { type InboxPage, type InboxQuery, readInbox } from '../inbox/inbox-page.ts'
import { countUnread } from '../inbox/unread.ts'
import { describe } from '../text.ts'
import { checkLimit, checkQuery } from './history-query.ts'
import { PageTurns } from './page-turns.ts'

/** The methods of a hub that concern inboxes. */
export class InboxMethods {
  /** @internal */
  readonly pageTurns = new PageTurns()
  /** @internal */
  readonly log: EventLog

  /** @internal */
  constructor(log: EventLog) {
    this.log = log
  }

  /**
   * A page of the events that were sent to the user with `inbox: true`, the newest first. `before` pages to older ones.
   * @throws {UnknownCursorError} for an `after` or `before` that is not an id of this hub.
   */
  async inbox(user: string, query: InboxQuery = {}): Promise<InboxPage> {
    userChannel(user)
    checkQuery('inbox()', query, ['after', 'before', 'limit'])
    for (const id of [query.after, query.before]) if (id !== undefined) checkId(id)
    const limit = checkLimit(query.limit ?? 100)
    await this.pageTurns.next()
    return readInbox(this.log, user, { ...query, limit })
  }

  /** How many events of the user's inbox are newer than the user's read cursor. */
  async unread(user: string): Promise<number> {
    userChannel(user)
    return countUnread(this.log, user)
  }

  /**
   * Marks the user's inbox as read, up to the event with this id, or any later id, such as `cursor()`. All streams of the user
   * get `hub.read`. The read cursor never moves back: an older id changes nothing, and the present state is returned.
   * @throws {UnknownCursorError} for an id that is not of this hub.
   */
  async markRead(user: string, upTo: string): Promise<Read> {
    userChannel(user)
    return markRead(this.log, user, checkId(upTo))
  }

  /**
   * Removes an event from history and inboxes. Streams that listen to it get `hub.retract` with its id, open ones and those that
   * return later, and a stream that has not received the event yet does not get it.
   * @param options with a `user`, only an event in that user's inbox, and for that user alone: an event that was also sent to
   * other users or topics stays there.
   * @returns false if there is no such event, or no longer.
   */
  async retract(id: string, options: { readonly user?: string | undefined } = {}): Promise<boolean> {
    const { user } = options
    if (user !== undefined) userChannel(user)
    return retract(this.log, checkId(id), user)
  }
}

function checkId(id: unknown): string {
  if (typeof id !== 'string') throw new InvalidRequestError(`an id is text; got ${describe(id)}`)
  return id
}
