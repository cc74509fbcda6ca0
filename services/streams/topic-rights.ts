/** The topics of a stream that its client has requested itself, and the question whether it may have them. */
export interface TopicRights {
  requested: readonly string[]
  /**
   * Resolves with those of the topics that are forbidden now, or with undefined if the host cannot say.
   * @throws the error of the host if the identity is no longer valid.
   */
  readonly forbidden: (topics: readonly string[]) => Promise<readonly string[] | undefined>
}
