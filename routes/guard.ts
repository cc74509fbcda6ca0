import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import type { HubAction } from '../services/access/action.ts'
import { ForbiddenError } from '../services/errors.ts'
import { isPromiseLike } from '../services/promise-like.ts'

/** Whether the caller may perform the action. Throw an error of your own to answer 401. */
export type Authorize = (request: FastifyRequest, action: HubAction) => boolean | Promise<boolean>

/** Throws or rejects unless the caller may perform all actions. A promise is returned only if the host answers with one. */
export type Permit = (request: FastifyRequest, actions: readonly HubAction[]) => Promise<void> | undefined

export type Guard = (actionsOf: (request: FastifyRequest) => readonly HubAction[]) => onRequestHookHandler

export function permitWith(authorize: Authorize): Permit {
  return (request, actions) => {
    try {
      for (const [index, action] of actions.entries()) {
        const answer: unknown = authorize(request, action)
        // Most hosts answer synchronously; then no promise is created.
        if (isPromiseLike(answer)) return awaitRest(authorize, request, answer, actions.slice(index))
        check(answer, action)
      }
    } catch (error) {
      throw refusalOf(error)
    }
    return undefined
  }
}

/** Creates the hook that refuses callers who may not perform all actions of a request. */
export function guardWith(permit: Permit): Guard {
  return (actionsOf) => (request, _reply, done) => {
    const actions = actionsOf(request)
    let permission: Promise<void> | undefined
    try {
      permission = permit(request, actions)
    } catch (error) {
      done(error as Error)
      return
    }
    if (permission === undefined) done()
    else permission.then(() => done(), done)
  }
}

async function awaitRest(
  authorize: Authorize,
  request: FastifyRequest,
  first: PromiseLike<unknown>,
  [firstAction, ...rest]: readonly HubAction[]
): Promise<void> {
  try {
    check(await first, firstAction as HubAction)
    for (const action of rest) check(await authorize(request, action), action)
  } catch (error) {
    throw refusalOf(error)
  }
}

/** A host may throw undefined, and Fastify treats a hook without an error as permission. */
function refusalOf(error: unknown): Error {
  return (error || new ForbiddenError('the host refused without a reason')) as Error
}

/** Only `true` permits; another truthy value is a mistake in the host's code. */
function check(answer: unknown, { verb }: HubAction): void {
  if (answer !== true) throw new ForbiddenError(verb)
}

/** A parameter of the path. A guard reads it before it is validated. */
export function paramOf(request: FastifyRequest, name: 'user' | 'topic' | 'id'): string {
  return (request.params as Record<string, string>)[name] as string
}

/**
 * Whether the caller may perform an action. A caller without credentials may do nothing; invalid ones stay an error, which is
 * counted like any other attempt to guess a key.
 */
export async function isPermitted(permit: Permit, request: FastifyRequest, action: HubAction): Promise<boolean> {
  try {
    await permit(request, [action])
    return true
  } catch (error) {
    const { statusCode } = error as { statusCode?: number }
    if (statusCode === 403 || (statusCode === 401 && !hasCredentials(request))) return false
    throw error
  }
}

function hasCredentials({ headers }: FastifyRequest): boolean {
  return headers.authorization !== undefined || headers.cookie !== undefined
}
