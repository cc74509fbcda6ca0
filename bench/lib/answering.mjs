/**
 * Lets a process of the bench be told and asked things over its process channel, so that asking is no request among those that
 * are measured. Each command returns, or promises, what is answered.
 */
export function answering(hello, commands) {
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
