import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { InvalidOptionError } from '../services/errors.ts'
import { checkFunction, checkNames, REGISTER_OPTIONS } from '../services/option-checks.ts'
import { readConsole } from './console-files.ts'
import { redirectToSlash, sendFile } from './page-files.ts'

export interface ConsoleUiOptions {
  /** Path under which the console is mounted. Fastify's own option. */
  readonly prefix?: string
  /**
   * The path of the hub's routes on the same origin, absolute (`/hub/`) or relative to the page. It ends with a slash.
   * @default './' the routes are beside the console
   */
  readonly api?: string | undefined
  /**
   * Whether the console is served.
   * @default true, unless NODE_ENV is "production"
   */
  readonly enabled?: boolean | undefined
  /**
   * Runs before each file of the console is served: the host's own check of who may see it. It answers or throws to refuse. The
   * files hold no data of the hub; its routes check their callers by themselves.
   * @default undefined: every caller may see the files
   */
  readonly onRequest?: onRequestHookHandler | undefined
}

const OPTIONS = ['api', 'enabled', 'onRequest']
const API = /^[\w./~%-]*\/$/

/**
 * Serves the console, from memory.
 * @throws {InvalidOptionError}
 */
export async function consoleUi(app: FastifyInstance, options: ConsoleUiOptions = {}): Promise<void> {
  checkNames('consoleUi', options, OPTIONS, REGISTER_OPTIONS)
  const { api = './', enabled = process.env.NODE_ENV !== 'production', onRequest } = options
  checkFunction('consoleUi.onRequest', onRequest)
  if (typeof enabled !== 'boolean') throw new InvalidOptionError('consoleUi.enabled', 'is true or false')
  if (typeof api !== 'string' || !API.test(api) || api.startsWith('//'))
    throw new InvalidOptionError('consoleUi.api', 'is a path of the same origin that ends with a slash')
  if (!enabled) return
  const route = onRequest === undefined ? {} : { onRequest }
  for (const [name, file] of readConsole(api)) {
    const handler = (request: FastifyRequest, reply: FastifyReply) => sendFile(file, request, reply)
    app.get(`/${name}`, route, handler)
    if (name === 'index.html')
      app.get('/', route, (request, reply) => redirectToSlash(request, reply) ?? handler(request, reply))
  }
}
