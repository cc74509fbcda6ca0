import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import type { HubAction } from '../services/access/action.ts'
import { ForbiddenError } from '../services/errors.ts'
import { isPromiseLike } from '../services/promise-like.ts'

/** Whether the caller may perform the action. Throw an error of your own to answer 401. */
export type Authorize = (request: FastifyRequest, action: HubAction) => boolean | Promise<boolean>

export type Guard = (actionsOf: (request: FastifyRequest) => readonly HubAction[]) => onRequestHookHandler

/** Creates the hook that refuses callers who may not perform all actions of a request. */
export function guardWith(authorize: Authorize): Guard {
  return (actionsOf) => (request, _reply, done) => {
    const actions = actionsOf(request)
    try {
      for (const [index, action] of actions.entries()) {
        const answer: unknown = authorize(request, action)
        // Most hosts answer synchronously; then no promise is created.
        if (isPromiseLike(answer)) {
          awaitRest(authorize, request, answer, actions.slice(index)).then(
            () => done(),
            (error) => done(refusalOf(error))
          )
          return
        }
        check(answer, action)
      }
    } catch (error) {
      done(refusalOf(error))
      return
    }
    done()
  }
}

async function awaitRest(
  authorize: Authorize,
  request: FastifyRequest,
  first: PromiseLike<unknown>,
  [firstAction, ...rest]: readonly HubAction[]
): Promise<void> {
  check(await first, firstAction as HubAction)
  for (const action of rest) check(await authorize(request, action), action)
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
