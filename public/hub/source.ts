import { connect } from '../../client.ts'
import { credential } from '../state/credentials.ts'
import { type ApiError, issueTicket } from './api.ts'

/** One event of the wire. */
export interface Frame {
  readonly name: string
  readonly data: string
  /** The `id` of its block; empty without one. */
  readonly id: string
  readonly raw: string
}

export interface SourceState {
  readonly state: 'connecting' | 'open' | 'waiting' | 'closed'
  /** A close reason of the hub, or one of the client. */
  readonly reason: string | undefined
  /** Why an attempt failed. */
  readonly problem: { readonly code: string; readonly message: string; readonly status: number | undefined } | undefined
}

export interface Source {
  close(): void
}

export interface SourceOptions {
  readonly url: URL
  /** The user and topics of a ticket, for a locked hub. */
  readonly wish: { readonly user: string; readonly topics: readonly string[] }
  readonly lastEventId: string
  readonly onFrame: (frame: Frame) => void
  readonly onState: (state: SourceState) => void
}

/** Statuses after which the same request for a ticket fails again. */
const FINAL = new Set([400, 401, 403, 404])

/** Opens a stream with the hub's client, the only code of the console that reads streams. */
export function openSource({ url, wish, lastEventId, onFrame, onState }: SourceOptions): Source {
  let refusal: SourceState['problem']
  const auth = async () => {
    try {
      return await credentialsFor(wish)
    } catch (error) {
      const { status } = error as ApiError
      if (!FINAL.has(status)) throw error
      // These credentials will not do better later.
      refusal = error as ApiError
      return null
    }
  }
  const stream = connect(url, {
    auth,
    lastEventId: lastEventId || undefined,
    debug: ({ event, data, id, raw }) => {
      if (data !== undefined) onFrame({ name: event, data, id: id ?? '', raw })
    }
  })
  stream.on('state', ({ name, reason, error }) => {
    const problem = refusal ?? (error && { code: error.code, message: error.message, status: error.status })
    onState({ state: name, reason, problem })
  })
  return { close: () => stream.close() }
}

/** A ticket for the user, again whenever the hub has lost the old one. With a token, streams of other users are refused. */
async function credentialsFor(wish: SourceOptions['wish']) {
  if (credential.value === '') return {}
  const { ticket } = await issueTicket({ user: wish.user, topics: wish.topics })
  return { ticket }
}
