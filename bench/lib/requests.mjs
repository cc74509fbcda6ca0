import { programRequests } from './programs.mjs'

const publication = (path) => (text) => ({ path, payload: JSON.stringify({ data: text }) })

/**
 * The requests of the hub, which most servers of the bench serve alike: streams of a user, which also get the events for
 * everyone, and publications of a text. `#` becomes the number of the user.
 */
const COMMON = {
  stream: '/events?user=u#',
  /** nchan has streams of one channel only. */
  userStream: '/events?user=u#&only=user',
  toEveryone: publication('/broadcast'),
  toUser: publication('/users/u#/events')
}

export const requestsOf = (server) => programRequests(server) ?? COMMON
