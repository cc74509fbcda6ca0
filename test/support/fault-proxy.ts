import { FaultProxy as ServerProxy } from '../../testing/fault-proxy.ts'

/** A proxy to a server, with the URL of a Redis. */
export type FaultProxy = ServerProxy

export const FaultProxy = { start: (target: number): Promise<FaultProxy> => ServerProxy.start(target, 'redis') }
