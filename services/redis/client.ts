import type { RedisArgument } from './link.ts'

/** What is used of a client of node-redis, 5 or 6. */
export interface RedisClient {
  readonly isOpen: boolean
  readonly isReady: boolean
  connect(): Promise<unknown>
  destroy(): void
  sendCommand(args: RedisArgument[]): Promise<unknown>
  on(event: string, listener: (error: Error) => void): void
}

/** Where a server is. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Takes errors that no command can report. */
export type FaultListener = (error: unknown, what: string) => void

/**
 * Ends a client: its commands are rejected, its socket is closed.
 * @param hasSocket whether it has been connected. One that still connects is ended when it has a socket: neither version of
 * node-redis gives up a socket that it is only about to get.
 */
export function endClient(client: RedisClient, hasSocket: boolean, onFault: FaultListener): void {
  const destroy = () => {
    try {
      client.destroy()
    } catch (error) {
      // node-redis 5 throws for a client that has closed itself: by then nothing is left to end.
      if (client.isOpen) onFault(error, 'a client of Redis could not be ended')
    }
  }
  if (hasSocket || !client.isOpen) destroy()
  else client.on('connect', destroy)
}

/** What comes of it, or that nothing has come of it within so many milliseconds. */
export async function inTime<Outcome>(coming: Promise<Outcome>, milliseconds: number): Promise<Outcome | string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('it does not answer'), milliseconds)
  })
  try {
    return await Promise.race([coming, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What went wrong, without what node's errors carry besides: an address is no secret, a URL with a password is. */
export function messageOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === undefined || message.includes(code) ? message : `${code} ${message}`
}
