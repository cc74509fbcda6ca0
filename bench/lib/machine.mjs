import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { isPinned } from './processes.mjs'

/** The machine of the figures. */
export function machine() {
  const processors = cpus()
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GB`,
    node: process.version,
    kernel: `${type()} ${release()}`,
    isPinned,
    loadBefore: loadavg()[0]
  }
}

export function describeMachine({ cpu, cores, memory, node, kernel, isPinned: pinned, loadBefore }) {
  const where = pinned ? 'server and load on a core each' : 'server and load on cores that the system chooses'
  return `${cpu}, ${cores} cores, ${memory}, node ${node}, ${kernel}; ${where}; load before ${loadBefore.toFixed(1)}`
}

/** CPU time of the whole machine since its start, in microseconds. */
export function machineCpu() {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) * 1_000
}
