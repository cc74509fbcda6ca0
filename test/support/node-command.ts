/** The Node command that runs TypeScript; coverage includes child processes. */
export const NODE_COMMAND: readonly string[] = [
  process.execPath,
  // Without the compiler that tap preloads.
  ...process.execArgv.filter((argument) => /strip-types|processinfo/.test(argument))
]
