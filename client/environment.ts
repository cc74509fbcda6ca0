import type { CursorStorage } from './cursor-storage.ts'

interface Target {
  addEventListener?(type: string, listener: (event: { persisted?: boolean }) => void, options: object): void
}

/** The parts of a page that the client uses where they exist: Node, and React Native, have few of them. */
export interface Environment extends Target {
  readonly document?: Target & { readonly baseURI?: string; readonly visibilityState?: string }
  readonly location?: { readonly origin: string }
  readonly sessionStorage?: CursorStorage
  readonly reportError?: (error: unknown) => void
}

export const environment = globalThis as unknown as Environment

/** Calls `wake` when the device is online again or the page is shown again, until the signal is aborted. */
export function onWake(signal: AbortSignal, wake: (hasConnectionChanged: boolean) => void): void {
  const { document } = environment
  const listen = (target: Target | undefined, type: string, listener: (event: { persisted?: boolean }) => void): void =>
    target?.addEventListener?.(type, listener, { signal })
  listen(environment, 'online', () => wake(true))
  // A page that comes out of the back-forward cache.
  listen(environment, 'pageshow', ({ persisted = false }) => wake(persisted))
  listen(document, 'visibilitychange', () => wake(false))
}

/** Reports an error that no handler takes, as the runtime reports uncaught ones, without ending a process. */
export function report(error: unknown): void {
  // biome-ignore lint/suspicious/noConsole: runtimes without reportError have no other place for it
  ;(environment.reportError ?? console.error)(error)
}
