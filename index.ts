export { type HubAppOptions, hubApp } from './app.ts'
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
export type { AuthorizePublish } from './routes/guard.ts'
export { type HubRoutesOptions, hubRoutes } from './routes/hub-routes.ts'
export type { PublisherOf } from './routes/publish.ts'
export type { IssueTicket } from './routes/tickets.ts'
export { type ApiKey, hashSecret } from './services/api-keys.ts'
export type { Clock } from './services/clock.ts'
export type { CloseReason } from './services/close-reason.ts'
export * as errors from './services/errors.ts'
export type { EventDraft, EventHandling, EventMap, LoggedDraft } from './services/event.ts'
export type * from './services/event-log/event-log.ts'
export { MemoryLog, type MemoryLogOptions } from './services/event-log/memory.ts'
export type { Retention } from './services/event-log/retention.ts'
export type { EventStream } from './services/event-stream.ts'
export type { HistoryOf, HistoryQuery } from './services/history-query.ts'
export type { HistoryEvent, HistoryPage, HubStats, PublishOptions } from './services/hub.ts'
export type { HubAction } from './services/hub-action.ts'
export type { HubEventMap, Undelivered } from './services/hub-events.ts'
export type * from './services/nodes/nodes.ts'
export type { HubOptions } from './services/options.ts'
export type { OnlinePage, OnlineUser, StreamPresence, UserPresence } from './services/presence.ts'
export type { Produced, Producer } from './services/producer.ts'
export type { PublishReceipt } from './services/publisher.ts'
export type { Refusal, Refused } from './services/refusals.ts'
export { parseScopes, type Scopes } from './services/scopes.ts'
export type { Target } from './services/target.ts'
export type { TicketBounds, TicketRecord, TicketStore } from './services/ticket-store.ts'
export { type Ticket, Tickets, type TicketWish } from './services/tickets.ts'
export { MemoryTickets } from './services/tickets-memory.ts'
