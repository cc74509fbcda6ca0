import { createError } from '@fastify/error'

/**
 * Every error of the hub: code, message that names the fix, HTTP status. A code never changes its meaning.
 * The place that creates the error fills in `%s`.
 */

// Errors of the request
export const InvalidRequestError = createError('SSE_HUB_ERR_INVALID_REQUEST', '%s', 400)
export const InvalidUserError = createError(
  'SSE_HUB_ERR_INVALID_USER',
  'A user is a well-formed string of 1 to 256 bytes without control characters; got %s',
  400,
  TypeError
)
export const InvalidTopicError = createError(
  'SSE_HUB_ERR_INVALID_TOPIC',
  'A topic is a well-formed string of 1 to 256 bytes without control characters; got %s',
  400,
  TypeError
)
export const TooManyTopicsError = createError(
  'SSE_HUB_ERR_TOO_MANY_TOPICS',
  'A stream listens to at most %s topics; open a second stream, or publish to a broader topic',
  400,
  RangeError
)
export const TopicsFixedError = createError(
  'SSE_HUB_ERR_TOPICS_FIXED',
  'The topics of a stream that follows a topic, or that a producer feeds, do not change; open another stream',
  409
)
export const InvalidTargetError = createError(
  'SSE_HUB_ERR_INVALID_TARGET',
  'Name the target of the event: one or more users, one or more topics, or everyone; got %s',
  400,
  TypeError
)
export const InvalidEventNameError = createError(
  'SSE_HUB_ERR_INVALID_EVENT_NAME',
  'An event name is 1 to 128 bytes of text without control characters; got %s',
  400,
  TypeError
)
export const ReservedEventNameError = createError(
  'SSE_HUB_ERR_RESERVED_EVENT_NAME',
  'The event name %s is reserved ("hub.…" is the hub\'s own; "open" and "error" are EventSource\'s own); choose another',
  400,
  TypeError
)
export const InvalidDataError = createError('SSE_HUB_ERR_INVALID_DATA', 'The data of an event %s', 400, TypeError)
export const InvalidDraftError = createError('SSE_HUB_ERR_INVALID_DRAFT', '%s', 400, TypeError)
export const EventTooLargeError = createError(
  'SSE_HUB_ERR_EVENT_TOO_LARGE',
  'The data of an event holds at most %s bytes; got %s. Send a reference instead, or raise maxEventBytes',
  413,
  RangeError
)
export const BatchTooLargeError = createError(
  'SSE_HUB_ERR_BATCH_TOO_LARGE',
  'A batch holds at most %s events; got %s. Send several batches',
  413,
  RangeError
)
export const IdempotencyKeyReusedError = createError(
  'SSE_HUB_ERR_IDEMPOTENCY_KEY_REUSED',
  'The idempotency key was used for the same target with other content; give each event a key of its own',
  422
)
export const UnknownCursorError = createError(
  'SSE_HUB_ERR_UNKNOWN_CURSOR',
  '%s is not an id of this hub, or of a history that it has lost; pass an id that it has sent since',
  400,
  RangeError
)
export const NotAcceptableError = createError(
  'SSE_HUB_ERR_NOT_ACCEPTABLE',
  'This route answers with an event stream; send Accept: text/event-stream',
  406
)
export const PipelinedError = createError(
  'SSE_HUB_ERR_PIPELINED',
  'An event stream takes a whole HTTP/1.1 connection; do not pipeline requests with one',
  400
)
export const JsonTooComplexError = createError(
  'SSE_HUB_ERR_INVALID_BODY',
  'The body nests deeper than %s levels, or has more than %s values',
  400
)
export const LineTooLargeError = createError(
  'SSE_HUB_ERR_LINE_TOO_LARGE',
  'A line holds at most %s bytes; send a reference instead, or raise maxEventBytes',
  413,
  RangeError
)
export const UnsupportedTypeError = createError(
  'SSE_HUB_ERR_UNSUPPORTED_TYPE',
  'This route takes no %s; send application/json',
  415
)
export const TooManyBodiesError = createError(
  'SSE_HUB_ERR_TOO_MANY_BODIES',
  'The hub is receiving as many request bodies as it can; try again later',
  503
)

export const ReplySentError = createError(
  'SSE_HUB_ERR_REPLY_SENT',
  'A stream needs an unsent reply: call connect(), follow() or stream() once, and before reply.send() and reply.raw',
  500
)

// Errors of authentication and permission
export const UnauthenticatedError = createError(
  'SSE_HUB_ERR_UNAUTHENTICATED',
  'No user: sign in, or pass { user } to connect()',
  401
)
export const TopicForbiddenError = createError(
  'SSE_HUB_ERR_TOPIC_FORBIDDEN',
  'This user may not listen to the topic %s; authorizeTopic decides',
  403
)
export const ForbiddenError = createError('SSE_HUB_ERR_FORBIDDEN', 'Not allowed: %s', 403)
export const NoCredentialsError = createError(
  'SSE_HUB_ERR_NO_CREDENTIALS',
  'Send "Authorization: Bearer" with an API key, or with a token that is valid now',
  401
)
export const ForeignOriginError = createError(
  'SSE_HUB_ERR_FOREIGN_ORIGIN',
  'Pages of this origin may not use the hub; HUB_CORS_ORIGIN lists those that may',
  403
)
export const ForeignHostError = createError(
  'SSE_HUB_ERR_FOREIGN_HOST',
  'An open hub serves only requests for a name of this machine; set keys, or HUB_AUTH=none, to serve other names',
  403
)
export const InvalidTicketError = createError('SSE_HUB_ERR_INVALID_TICKET', 'Invalid ticket: %s', 400, TypeError)
export const RateLimitedError = createError(
  'SSE_HUB_ERR_RATE_LIMITED',
  'Too many requests; try again in %s s. HUB_RATE_LIMIT sets the limit per second',
  429
)
export const UnknownMethodError = createError('SSE_HUB_ERR_UNKNOWN_METHOD', 'HTTP has no such method', 501)
export const NotFoundError = createError('SSE_HUB_ERR_NOT_FOUND', 'There is no %s', 404)

// Errors of availability
export const HubClosedError = createError('SSE_HUB_ERR_CLOSED', 'The hub is closing; try another node, or later', 503)
export const LogUnavailableError = createError('SSE_HUB_ERR_LOG_UNAVAILABLE', 'The event log is not available: %s', 503)
export const ClusterUnavailableError = createError(
  'SSE_HUB_ERR_CLUSTER_UNAVAILABLE',
  'The other nodes could not be reached: %s. Try again later',
  503
)
export const LogFullError = createError(
  'SSE_HUB_ERR_LOG_FULL',
  'The event log has no room left: %s. Nothing was published; make room, and try again',
  507
)
export const LogLostError = createError(
  'SSE_HUB_ERR_LOG_LOST',
  'The event log lost its folder %s: %s. It accepts no more events; restore the folder, or stop the process that took it, and restart the hub',
  503
)
export const AuthenticationUnavailableError = createError(
  'SSE_HUB_ERR_AUTHENTICATION_UNAVAILABLE',
  'The caller could not be identified now; try again later',
  503
)
// Transient errors carry `retry-after` in seconds: Fastify sends the headers of an error.
for (const { prototype } of [
  HubClosedError,
  LogUnavailableError,
  ClusterUnavailableError,
  AuthenticationUnavailableError
]) {
  Object.defineProperty(prototype, 'headers', { value: { 'retry-after': '1' } })
}

export const TicketsUnavailableError = createError(
  'SSE_HUB_ERR_TICKETS_UNAVAILABLE',
  'Tickets cannot be stored now; try again later',
  503
)

// Errors of configuration
export const InvalidOptionError = createError('SSE_HUB_ERR_INVALID_OPTION', 'Option %s: %s', 500, TypeError)
export const LogInUseError = createError(
  'SSE_HUB_ERR_LOG_IN_USE',
  'The event log in %s is in use by another hub; give each hub a folder of its own, or join them over Redis',
  500
)
export const LogStoreError = createError('SSE_HUB_ERR_LOG_STORE', 'The event log in %s cannot be opened: %s', 500)
export const MissingPackageError = createError(
  'SSE_HUB_ERR_MISSING_PACKAGE',
  '%s needs the package "%s": npm install %s',
  500
)
