import { packageVersion } from '../../plugins/package-version.ts'
import { EnvironmentError, type Variables } from '../values.ts'
import { type Command, type CommandContext, UsageError } from './command-context.ts'
import { helpText } from './help.ts'
import { check, printConfig, readServeRequest } from './serve.ts'

const FAILED = 1
const MISUSED = 2

/** Commands beside serving. Those that need a client are loaded when they are called. */
const COMMANDS: Readonly<Record<string, () => Command | Promise<Command>>> = {
  check: () => check,
  listen: async () => (await import('./listen.ts')).listen,
  history: async () => (await import('./listen.ts')).history,
  tail: async () => (await import('./listen.ts')).tail,
  publish: async () => (await import('./publish.ts')).publish,
  ticket: async () => (await import('./keys.ts')).ticket,
  key: async () => (await import('./keys.ts')).key,
  top: async () => (await import('./top.ts')).top
}

/**
 * Runs a command line.
 * @param serve starts the hub with an environment, and resolves once it has been started.
 * @returns the exit code, or undefined if the hub serves now.
 */
export async function runCommand(
  args: readonly string[],
  context: CommandContext,
  serve: (env: Variables) => Promise<void>
): Promise<number | undefined> {
  const { print, complain, signal } = context
  const [name = '', ...rest] = args
  try {
    if (name === 'help' || rest.includes('--help') || rest.includes('-h')) {
      print(helpText())
      return 0
    }
    if (name !== '' && !name.startsWith('-')) {
      if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(`there is no command ${JSON.stringify(name)}`)
      return await (await (COMMANDS[name] as NonNullable<(typeof COMMANDS)[string]>)())(rest, context)
    }
    const { env, action } = readServeRequest(args, context.env)
    if (action === 'help') print(helpText())
    else if (action === 'version') print(packageVersion())
    else if (action === 'print-config') print(printConfig(env))
    else {
      await serve(env)
      return undefined
    }
    return 0
  } catch (error) {
    if (signal.aborted) return 0
    complain((error as Error).message)
    if (error instanceof UsageError) complain('fastify-sse-hub --help shows all commands and settings')
    else if (!(error instanceof EnvironmentError || error instanceof Error)) throw error
    return error instanceof UsageError ? MISUSED : FAILED
  }
}
