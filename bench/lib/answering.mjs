/**
 * Runs commands that arrive over the process channel of a bench process, so that control adds no measured requests.
 * Each command returns, or resolves to, the answer.
 */
export function answerCommands(hello, commands) {
  const all = { usage, ...commands }
  process.on('message', async ({ id, call, ...rest }) => {
    try {
      process.send({ id, ...(await all[call](rest)) })
    } catch (error) {
      process.send({ id, error: error.message })
    }
  })
  process.on('disconnect', () => process.exit())
  process.send({ ...hello })
}

/** CPU in microseconds since the start, memory in bytes. */
function usage() {
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed: heap } = process.memoryUsage()
  return { cpu: user + system, rss, heap }
}
