/** Whether a host has answered with a promise: also one of another realm, or of a library of its own. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
