export { type EmbeddedLogOptions, embeddedLog } from './services/event-log/embedded/open-embedded-log.ts'
export type { StoreLogger } from './services/event-log/embedded/store-logger.ts'
