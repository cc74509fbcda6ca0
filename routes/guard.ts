import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import type { HubAction } from '../services/access/action.ts'
import { ForbiddenError } from '../services/errors.ts'
import { isPromiseLike } from '../services/promise-like.ts'

/** Whether the caller may. Throw an error of your own to answer 401. */
export type Authorize = (request: FastifyRequest, action: HubAction) => boolean | Promise<boolean>

export type Guard = (actionsOf: (request: FastifyRequest) => readonly HubAction[]) => onRequestHookHandler

/** Makes the hook that lets a route be reached only by those who may do all that they ask for. */
export function guardWith(authorize: Authorize): Guard {
  return (actionsOf) => (request, _reply, done) => {
    const actions = actionsOf(request)
    try {
      for (const [index, action] of actions.entries()) {
        const answer: unknown = authorize(request, action)
        // A host that knows the answer at once, and most do, pays for no promise.
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

/** Fastify takes a hook that hands on nothing for one that lets the caller in; a host may throw just that. */
function refusalOf(error: unknown): Error {
  return (error || new ForbiddenError('the host refused without a reason')) as Error
}

/** Only `true` is a yes: no text, no object, nothing that a mistake in the host's code could leave there. */
function check(answer: unknown, { verb }: HubAction): void {
  if (answer !== true) throw new ForbiddenError(verb)
}
