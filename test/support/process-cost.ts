import { readdirSync, readFileSync } from 'node:fs'

/** The resources that a process holds and has used. Linux only. */
export interface Cost {
  /** Resident memory in MiB. */
  readonly memory: number
  readonly descriptors: number
  /** Seconds of processor time since its start. */
  readonly cpu: number
}

const TICKS_A_SECOND = 100

export function costOf(pid: number): Cost {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return {
    memory: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
  }
}

/**
 * How long the main thread of a process was ready to run while others had the processors, in milliseconds; 0 where that
 * is not known. A shared machine delays all processes, which is no fault of the measured one.
 */
export function starvation(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1_000_000
  } catch {
    return 0
  }
}

export function show({ memory, descriptors, cpu }: Cost): string {
  return `${memory} MiB, ${descriptors} descriptors, ${cpu.toFixed(1)} s of CPU`
}
