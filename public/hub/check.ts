export type CheckName =
  | ('reach' | 'http' | 'stream' | 'buffering' | 'clock' | 'connections')
  | ('limitStreams' | 'limitUser' | 'limitConnections' | 'limitStorage')

export interface Check {
  readonly name: CheckName
  readonly tone: 'good' | 'wait' | 'bad' | 'end'
  /** The key of the finding's text, below `check.NAME`. */
  readonly finding: string
  readonly params: Readonly<Record<string, unknown>>
}

/** How the names of the users of checks begin. */
export const CHECK_USER = 'console-check-'
