/**
 * Receives the store's reports about the folder. A separate file, so that a host without `lmdb` compiles against it and not
 * against the types of the store.
 */
export interface StoreLogger {
  warn(details: object, message: string): void
  error(details: object, message: string): void
}
