import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { join } from 'node:path'

const hasTaskset = (() => {
  try {
    execFileSync('taskset', ['-c', '0', 'true'])
    return cpus().length > 1
  } catch {
    return false
  }
})()

/** Whether server and load have a core each. */
export const isPinned = hasTaskset

/** Starts a script in a process of its own on one core, and returns how to ask it things. */
export async function start(script, { core, args = [], execArgv = [], env = {} } = {}) {
  const command = [process.execPath, ...execArgv, join(import.meta.dirname, '..', script), ...args]
  if (hasTaskset && core !== undefined) command.unshift('taskset', '-c', String(core))
  const child = spawn(command[0], command.slice(1), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_ENV: 'production', ...env }
  })
  const [hello] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${script} ended with ${code}`)
    })
  ])
  let next = 0
  const ask = (message) =>
    new Promise((resolve, reject) => {
      const id = ++next
      const onMessage = (answer) => {
        if (answer.id !== id) return
        child.off('message', onMessage)
        if (answer.error) reject(new Error(answer.error))
        else resolve(answer)
      }
      child.on('message', onMessage)
      child.send({ id, ...message })
    })
  const stop = async () => {
    if (child.exitCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return { ...hello, pid: child.pid, ask, stop, usage: () => ask({ ask: 'usage' }), reset: () => ask({ ask: 'reset' }) }
}

export const startLoad = () => {
  return start('lib/load.mjs', { core: 1, execArgv: ['--max-old-space-size=8192'] })
}

export const startServer = (name, env) =>
  name === 'nchan' ? startNchan() : start(`servers/${name}.mjs`, { core: 0, execArgv: ['--expose-gc'], env })

async function startNchan() {
  const { startNchan: startIt } = await import('./nchan.mjs')
  return startIt(hasTaskset ? 0 : undefined)
}
