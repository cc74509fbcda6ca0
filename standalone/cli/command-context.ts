import type { Variables } from '../values.ts'

/** The inputs and outputs of a command. */
export interface CommandContext {
  readonly env: Variables
  /** Writes a line of its result. */
  readonly print: (line: string) => void
  /** Writes a line for the person who runs it. */
  readonly complain: (line: string) => void
  readonly readInput: () => Promise<string>
  readonly isTerminal: boolean
  /** Aborted when the command should end. */
  readonly signal: AbortSignal
}

/** Resolves with the exit code: 0, or 1 after a failure. */
export type Command = (args: readonly string[], context: CommandContext) => Promise<number>

/** The command was called in a wrong way: exit code 2. */
export class UsageError extends Error {}
