import type { RedisArgument } from './link.ts'

/** The part of a client of node-redis, 5 or 6, that the hub uses. */
export interface RedisClient {
  readonly isOpen: boolean
  readonly isReady: boolean
  connect(): Promise<unknown>
  destroy(): void
  sendCommand(args: RedisArgument[]): Promise<unknown>
  on(event: string, listener: (error: Error) => void): void
}

/** The address of a server. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Reports errors that no command can report. */
export type FaultListener = (error: unknown, what: string) => void

/**
 * Ends a client: its commands are rejected, its socket is closed.
 * @param hasSocket whether it has been connected. A connecting client is ended when it has a socket: neither version of
 * node-redis cancels a pending socket.
 */
export function endClient(client: RedisClient, hasSocket: boolean, onFault: FaultListener): void {
  const destroy = () => {
    try {
      client.destroy()
    } catch (error) {
      // node-redis 5 throws for a client that has closed itself, which needs no end.
      if (client.isOpen) onFault(error, 'a client of Redis could not be ended')
    }
  }
  if (hasSocket || !client.isOpen) destroy()
  else client.on('connect', destroy)
}

/** The outcome, or the text of a timeout after this number of milliseconds. */
export async function inTime<Outcome>(pending: Promise<Outcome>, milliseconds: number): Promise<Outcome | string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('it does not answer'), milliseconds)
  })
  try {
    return await Promise.race([pending, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The message of an error, without its other properties: an address is not secret, but a URL with a password is. */
export function messageOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === undefined || message.includes(code) ? message : `${code} ${message}`
}
