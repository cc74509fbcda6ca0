import type { Socket } from 'node:net'

/**
 * Resets a connection, or destroys the socket if it has been ended. Node.js cannot reset a socket while its end is being sent:
 * it emits `EINVAL`, keeps the descriptor, and never exits by itself (`end()` and then `resetAndDestroy()`, Node.js 20 to 24).
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
