/**
 * Where the store reports what its user should know of the folder. In a file of its own: a host that has no `lmdb` compiles
 * against it, and not against the types of the store.
 */
export interface StoreLogger {
  warn(details: object, message: string): void
  error(details: object, message: string): void
}
