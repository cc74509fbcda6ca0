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

/**
 * Calls `wake` when the device is online again or the page is shown again, until the signal is aborted; with true where the
 * connection is another one: after a return to the network, or out of the back-forward cache.
 */
export function onWake(signal: AbortSignal, wake: (hasConnectionChanged: boolean) => void): void {
  const signs = [
    [environment, 'online'],
    [environment, 'pageshow'],
    [environment.document, 'visibilitychange']
  ] as const
  for (const [target, type] of signs)
    target?.addEventListener?.(type, ({ persisted }) => wake(persisted ?? type === 'online'), { signal })
}

/** Reports an error that no handler takes, as the runtime reports uncaught ones, without ending a process. */
export function report(error: unknown): void {
  // biome-ignore lint/suspicious/noConsole: runtimes without reportError have no other place for it
  ;(environment.reportError ?? console.error)(error)
}
