import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { startNchan } from './nchan.mjs'
import { isProgram, startProgram } from './programs.mjs'

const SERVER_CORE = 0
const LOAD_CORE = 1
/** Time after which a command counts as hanging, in milliseconds. */
const PATIENCE = 300_000

const pinned = (core, command) => ['taskset', '-c', String(core), ...command]

/** Whether server and load have one core each. */
export const isPinned = cpus().length > 1 && canRun(pinned(LOAD_CORE, ['true']))

function canRun([file, ...args]) {
  try {
    execFileSync(file, args)
    return true
  } catch {
    return false
  }
}

/** Starts a script in its own process, on one core if possible; returns `ask`, which runs its commands. */
export async function start(script, { core = SERVER_CORE, execArgv = [], env = {} } = {}) {
  const [file, ...args] = onCore(core, [process.execPath, ...execArgv, join(import.meta.dirname, '..', script)])
  const child = spawn(file, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, NODE_ENV: 'production', ...env }
  })
  const waiting = new Map()
  const ended = once(child, 'exit').then(([code, signal]) => {
    const error = new Error(`${script} ended with ${signal ?? code}`)
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
    return error
  })
  child.on('message', ({ id, error, ...answer }) => {
    const asked = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) asked?.resolve(answer)
    else asked?.reject(new Error(error))
  })
  let asked = 0
  const answerTo = (id, call) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${script} did not answer ${call}`)), PATIENCE)
      const settle = (settled) => (value) => {
        clearTimeout(timer)
        settled(value)
      }
      waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
    })
  const ask = (call, message = {}) => {
    const id = ++asked
    const answer = answerTo(id, call)
    child.send({ id, call, ...message }, (error) => {
      if (error) waiting.get(id)?.reject(error)
    })
    return answer
  }
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
  }
  const hello = await answerTo(undefined, 'start')
  return { ...hello, pid: child.pid, ask, stop }
}

const onCore = (core, command) => (isPinned ? pinned(core, command) : command)

export const startLoad = (script = 'lib/load.mjs') =>
  start(script, { core: LOAD_CORE, execArgv: ['--max-old-space-size=8192'] })

export function startServer(server, env) {
  const onOwnCore = (command) => onCore(SERVER_CORE, command)
  if (server === 'nchan') return startNchan(onOwnCore, env)
  if (isProgram(server)) return startProgram(server, onOwnCore)
  return start(`servers/${server}.mjs`, { core: SERVER_CORE, execArgv: ['--expose-gc'], env })
}

/** Starts a server and its load, and stops them when `work` is done. */
export async function withServer(server, env, work) {
  const running = []
  try {
    running.push(await startServer(server, env))
    running.push(await startLoad())
    return await work(...running)
  } finally {
    await Promise.all(running.map(({ stop }) => stop()))
  }
}
