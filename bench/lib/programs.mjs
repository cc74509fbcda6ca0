import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { CENTRIFUGO } from './centrifugo.mjs'
import { freePort } from './free-port.mjs'
import { MERCURE } from './mercure.mjs'
import { sleep } from './time.mjs'
import { cpuOf, residentOf } from './usage.mjs'

const FOLDER = join(import.meta.dirname, '..', 'programs')
/** How long a server may take until it listens, in milliseconds. */
const PATIENCE = 30_000
const POLL = 50

/**
 * Servers in other languages: how each is built, its program, and how it is started. They listen on the given port, or on PORT.
 * `requests` are those of a server that does not serve the paths of the hub.
 */
const PROGRAMS = {
  axum: {
    title: 'axum 0.8 (Rust)',
    build: ['cargo', 'build', '--release', '--locked'],
    file: 'target/release/axum-sse',
    start: (file) => [file]
  },
  spring: {
    title: 'SseEmitter of Spring 3.5 (Java)',
    build: ['mvn', '-q', '-B', 'package'],
    file: 'target/spring-sse.jar',
    start: (file, port) => [
      'java',
      '-Xmx2g',
      '-jar',
      file,
      `--server.port=${port}`,
      '--server.address=127.0.0.1',
      // The defaults are 8,192 connections, and 100 that wait.
      '--server.tomcat.max-connections=20000',
      '--server.tomcat.accept-count=4096',
      // The default closes a connection after 100 requests.
      '--server.tomcat.max-keep-alive-requests=-1',
      '--logging.level.root=error',
      '--spring.main.banner-mode=off'
    ]
  },
  mercure: MERCURE,
  centrifugo: CENTRIFUGO
}

const fileOf = (name) => join(FOLDER, name, PROGRAMS[name].file)

/** The names of all programs, and of those that are built. */
export const ALL_PROGRAMS = Object.keys(PROGRAMS)
export const BUILT = ALL_PROGRAMS.filter((name) => existsSync(fileOf(name)))

export const isProgram = (name) => name in PROGRAMS
export const programTitle = (name) => PROGRAMS[name].title
export const programRequests = (name) => PROGRAMS[name]?.requests

export function buildProgram(name) {
  const [command, ...args] = PROGRAMS[name].build
  execFileSync(command, args, { cwd: join(FOLDER, name), stdio: 'inherit' })
}

/** Starts a built program. */
export async function startProgram(name, onCore) {
  const port = await freePort()
  const { start, env } = PROGRAMS[name]
  return startCommand(onCore(start(fileOf(name), port)), port, { PORT: String(port), ...env })
}

/** Starts a server without a channel to it: every command returns its usage. */
export async function startCommand([file, ...args], port, env = {}, onStop = () => {}) {
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...env } })
  const stop = async () => {
    if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
    onStop()
  }
  try {
    await listening(port, file)
  } catch (error) {
    await stop()
    throw error
  }
  return { port, pid: child.pid, ask: async () => ({ cpu: cpuOf(child.pid), rss: residentOf(child.pid) }), stop }
}

async function listening(port, file) {
  for (let waited = 0; waited < PATIENCE; waited += POLL) {
    const socket = connect({ port, host: '127.0.0.1' })
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false
    )
    socket.destroy()
    if (isOpen) return
    await sleep(POLL)
  }
  throw new Error(`${file} did not listen`)
}
