/** Node as a command that runs TypeScript; what a child process covers counts as well. */
export const NODE_COMMAND: readonly string[] = [
  process.execPath,
  // Not the compiler that tap brings along.
  ...process.execArgv.filter((argument) => /strip-types|processinfo/.test(argument))
]
