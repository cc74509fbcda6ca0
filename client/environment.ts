import type { CursorStorage } from './kept-cursor.ts'

interface Listeners {
  addEventListener?(type: string, listener: (event: { persisted?: boolean }) => void): void
  removeEventListener?(type: string, listener: (event: { persisted?: boolean }) => void): void
}

/** The parts of a page that the client uses where they exist: Node, and React Native, have few of them. */
export interface Environment extends Listeners {
  readonly document?: Listeners & { readonly baseURI?: string; readonly visibilityState?: string }
  readonly location?: { readonly origin: string }
  readonly sessionStorage?: CursorStorage
  readonly reportError?: (error: unknown) => void
}

export const environment = globalThis as unknown as Environment

/** Calls `wake` when the device is online again or the page is shown again. Returns a function that ends it. */
export function onWake(wake: (hasConnectionChanged: boolean) => void): () => void {
  const { document } = environment
  const online = (): void => wake(true)
  const shown = ({ persisted = false }): void => wake(persisted)
  const visible = (): void => {
    if (document?.visibilityState === 'visible') wake(false)
  }
  environment.addEventListener?.('online', online)
  environment.addEventListener?.('pageshow', shown)
  document?.addEventListener?.('visibilitychange', visible)
  return () => {
    environment.removeEventListener?.('online', online)
    environment.removeEventListener?.('pageshow', shown)
    document?.removeEventListener?.('visibilitychange', visible)
  }
}

/** Reports an error that no handler takes, as the runtime reports uncaught ones, without ending a process. */
export function report(error: unknown): void {
  if (environment.reportError !== undefined) environment.reportError(error)
  // biome-ignore lint/suspicious/noConsole: runtimes without reportError have no other place for it
  else console.error(error)
}
