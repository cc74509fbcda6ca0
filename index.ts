export {
  Authentication,
  type AuthenticationOptions,
  authentication,
  type ProvenIdentity
} from './plugins/authentication.ts'
export { ConnectionGuard } from './plugins/connections/connection-guard.ts'
export type { ConnectionLimits } from './plugins/connections/limits.ts'
export { answerUnreadableUrl, redactingSerializers } from './plugins/redaction.ts'
export {
  type Authenticate,
  type AuthorizeTopic,
  type ConnectOptions,
  type FollowOptions,
  type RegisteredEvents,
  SseHub,
  type SseHubEvents,
  type SseHubOptions,
  type StreamIdentity,
  type StreamOptions,
  sseHub,
  sseHub as default
} from './plugins/sse-hub.ts'
export type { TokenOptions } from './plugins/token-verifier.ts'
export type { Authorize } from './routes/guard.ts'
export { type HubRoutesOptions, hubRoutes } from './routes/hub-routes.ts'
export type { PublisherOf } from './routes/publish.ts'
export type { IssueTicket } from './routes/tickets.ts'
export type { HubAction } from './services/access/action.ts'
export { type ApiKey, hashSecret } from './services/access/api-keys.ts'
export { MemoryTickets } from './services/access/memory-tickets.ts'
export { parseScopes, type Scopes } from './services/access/scopes.ts'
export { type Ticket, type TicketRequest, Tickets } from './services/access/ticket-issuer.ts'
export type { TicketBounds, TicketRecord, TicketStore } from './services/access/ticket-store.ts'
export type { Clock } from './services/clock.ts'
export type * from './services/cluster/cluster.ts'
export * as errors from './services/errors.ts'
export type * from './services/event-log/event-log.ts'
export { MemoryLog, type MemoryLogOptions } from './services/event-log/memory/memory-log.ts'
export type { Retention } from './services/event-log/retention.ts'
export type { CloseReason } from './services/events/close-reason.ts'
export type { EventDraft, EventHandling, EventMap, LoggedDraft } from './services/events/draft.ts'
export type { GapReason } from './services/events/gap-reason.ts'
export type { HistoryEvent } from './services/events/history-event.ts'
export type * from './services/events/log-event.ts'
export type { Target } from './services/events/target.ts'
export type { HistoryPage } from './services/hub/history.ts'
export type { HistoryOf, HistoryQuery } from './services/hub/history-query.ts'
export type { HubEventMap, PresenceEvent, Undelivered } from './services/hub/hub-events.ts'
export type { HubStats } from './services/hub/hub-stats.ts'
export type { HubOptions } from './services/hub/options.ts'
export type { OnlinePage, OnlineUser, StreamPresence, TopicListeners, UserPresence } from './services/hub/presence.ts'
export type { PublishReceipt } from './services/hub/publish-receipt.ts'
export type { PublishOptions } from './services/hub/publisher.ts'
export type { Refusal, Refused } from './services/hub/refusals.ts'
export type { Read } from './services/inbox/inbox-changes.ts'
export type { InboxEvent, InboxPage, InboxQuery } from './services/inbox/inbox-page.ts'
export type { Produced, Producer } from './services/streams/feed.ts'
export type { Stream, StreamDraft } from './services/streams/stream.ts'
export type { WelcomeFunction } from './services/streams/welcome-fields.ts'
