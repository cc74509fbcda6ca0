/** A setting of the standalone hub. */
export interface Setting {
  /** The name of its environment variable. */
  readonly name: string
  /** The kind of value, for `--help`. */
  readonly value: string
  readonly help: string
  /** Whether it is, or may hold, a secret: then a file may hold it, named by the variable with `_FILE` at its end. */
  readonly isSecret?: true
}

const setting = (name: string, value: string, help: string): Setting => ({ name, value, help })
const secret = (name: string, value: string, help: string): Setting => ({ name, value, help, isSecret: true })

const MILLISECONDS = 'ms'

/** All settings. Any other variable that begins with `HUB_` is misspelled, and stops the start. */
export const SETTINGS: readonly Setting[] = [
  setting('HOST', 'address', 'the address to listen on; 127.0.0.1'),
  setting('PORT', 'number', 'the port to listen on; 3000'),
  setting('LOG_LEVEL', 'level', 'fatal, error, warn, info, debug, trace or silent; info'),
  secret('HUB_STORE', 'store', 'where history is kept: a folder, memory, or redis://…; ./fastify-sse-hub-data'),
  setting(
    'HUB_WORKERS',
    'number|auto',
    'processes that serve, joined by the Redis of the store; auto is one a core; 1'
  ),
  setting('HUB_AUTH', 'none', 'none: open on any address'),
  secret('HUB_API_KEYS', 'keys', 'id:key:scope,scope; …, or the path of a file of these'),
  secret('HUB_JWT_SECRET', 'secret', "the secret that verifies subscribers' tokens"),
  secret('HUB_JWT_PUBLIC_KEY', 'pem', 'a PEM, or the path of one, in place of the secret'),
  setting('HUB_JWT_AUDIENCE', 'text', 'the required aud of these tokens'),
  setting('HUB_JWT_ISSUER', 'text', 'the required iss of these tokens'),
  setting('HUB_JWT_COOKIE', 'name', 'the cookie that may hold such a token'),
  secret('HUB_PUBLISH_JWT_SECRET', 'secret', "the secret that verifies publishers' tokens"),
  secret('HUB_PUBLISH_JWT_PUBLIC_KEY', 'pem', 'a PEM, or the path of one, in place of the secret'),
  setting('HUB_PUBLISH_JWT_AUDIENCE', 'text', 'the required aud of these tokens'),
  setting('HUB_PUBLISH_JWT_ISSUER', 'text', 'the required iss of these tokens'),
  setting(
    'HUB_RATE_LIMIT',
    'number',
    'calls a second of a key or an address; 1000, on an open hub 0, which is no limit'
  ),
  setting('HUB_CORS_ORIGIN', 'origins', 'exact origins whose pages may use the hub, separated by commas'),
  setting('HUB_METRICS', 'on|open|off', 'whether /metrics is served, and whether without credentials; on'),
  setting('HUB_TRACING', 'on|off', 'whether the hub traces, with the OpenTelemetry SDK that the process loads; off'),
  setting('HUB_HEARTBEAT', MILLISECONDS, 'the silence after which a heartbeat is sent; 15000'),
  setting('HUB_RETRY', MILLISECONDS, 'how long clients wait before they return; 2000'),
  setting('HUB_DRAIN_DELAY', MILLISECONDS, 'from SIGTERM to the end of the streams; 0'),
  setting('HUB_MAX_STREAM_AGE', MILLISECONDS, 'after which a stream comes back; 0 is never'),
  setting('HUB_HISTORY_PER_USER', 'number', 'events kept of a user; 1000'),
  setting('HUB_HISTORY_PER_TOPIC', 'number', 'events kept of a topic; 10000'),
  setting('HUB_HISTORY_EVERYONE', 'number', 'events kept for everyone; 10000'),
  setting('HUB_HISTORY_AGE', MILLISECONDS, 'how long events are kept; 86400000'),
  setting('HUB_HISTORY_BYTES', 'bytes', 'of all history; 134217728'),
  setting('HUB_INBOX_COUNT', 'number', 'events of an inbox; 500'),
  setting('HUB_INBOX_AGE', MILLISECONDS, 'how long an inbox keeps them; 7776000000'),
  setting('HUB_MAX_STREAMS', 'number', 'streams of this node; 0 is no limit'),
  setting('HUB_MAX_STREAMS_PER_USER', 'number', 'streams of a user; 100'),
  setting('HUB_MAX_STREAMS_PER_ADDRESS', 'number', 'streams of an address; 0 is no limit'),
  setting('HUB_OPENING_RATE', 'number', 'streams a second that a user may open; 20'),
  setting('HUB_PRESENCE_GRACE', MILLISECONDS, 'without a stream before a user is offline; 5000'),
  setting('HUB_MAX_EVENT_BYTES', 'bytes', "of one event's data; 65536"),
  setting('HUB_STALL_TIMEOUT', MILLISECONDS, 'a client that reads nothing for so long is cut; 30000'),
  setting('HUB_MAX_CONNECTIONS', 'number', 'connections of the process'),
  setting('HUB_MAX_CONNECTIONS_PER_ADDRESS', 'number', 'connections of an address'),
  setting('HUB_MAX_UNREAD_BYTES', 'bytes', 'of answers that clients have not read; 134217728'),
  setting('HUB_REQUEST_TIMEOUT', MILLISECONDS, 'in which a request must arrive; 60000'),
  setting('HUB_TLS_CERT', 'path', 'of a certificate in PEM: then HTTPS and HTTP/2'),
  setting('HUB_TLS_KEY', 'path', 'of its key'),
  setting('HUB_TRUST_PROXY', 'proxies', 'true, a number of proxies, or their addresses; false'),
  secret('HUB_WEBHOOK_URL', 'url', 'the receiver of webhooks'),
  secret('HUB_WEBHOOK_SECRET', 'secret', 'that signs them'),
  setting('HUB_WEBHOOK_ALLOW_HTTP', 'true|false', 'whether the receiver may be http:// on another machine; false'),
  setting('HUB_WEBHOOK_UNREAD_AFTER', MILLISECONDS, 'that an event may stay unread in an inbox')
]

/** The variables that name files of settings. */
export const CONFIG = 'HUB_CONFIG'
export const FILE_SUFFIX = '_FILE'

/** The names of the settings, and those that name files. */
export const SETTING_NAMES: readonly string[] = [
  ...SETTINGS.map(({ name }) => name),
  ...SETTINGS.filter(({ isSecret }) => isSecret).map(({ name }) => name + FILE_SUFFIX),
  CONFIG
]
