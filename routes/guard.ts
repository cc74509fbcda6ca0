import type { FastifyRequest, preHandlerAsyncHookHandler } from 'fastify'
import { ForbiddenError } from '../services/errors.ts'
import type { Target } from '../services/target.ts'

/** What a caller of the HTTP API is about to do. */
export type HubAction =
  | { readonly verb: 'publish'; readonly target: Target }
  | { readonly verb: 'close'; readonly user?: string; readonly stream?: string }
  | { readonly verb: 'read'; readonly user?: string }

/** Whether the caller may. Throw an error of your own to answer 401. */
export type AuthorizePublish = (request: FastifyRequest, action: HubAction) => boolean | Promise<boolean>

export type Guard = (actionsOf: (request: FastifyRequest) => readonly HubAction[]) => preHandlerAsyncHookHandler

/** Makes the hook that lets a route be reached only by those who may do all that they ask for. */
export function guardWith(authorize: AuthorizePublish): Guard {
  return (actionsOf) => async (request) => {
    for (const action of actionsOf(request)) {
      if ((await authorize(request, action)) !== true) throw new ForbiddenError(action.verb)
    }
  }
}
