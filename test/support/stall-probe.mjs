// Preloaded into a hub: records the stalls of its event loop while it stops.
import { writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const delays = monitorEventLoopDelay({ resolution: 1 })
process.once('SIGTERM', () => {
  delays.reset()
  delays.enable()
})
process.once('exit', () => writeFileSync(process.env.STALL_FILE, `${delays.max / 1e6}`))
