import { readFileSync } from 'node:fs'

/** Linux gives process times to user space in hundredths of a second, whatever its own clock. */
const TICKS_PER_SECOND = 100

/** User and system seconds of a process so far: all its threads, and its children that have ended. */
export function cpuSeconds(pid: number): number {
  return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

/** proc_pid_stat(5): fields 14 to 17, counted behind the program's name, which may hold spaces and parentheses. */
export function parseStat(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = [11, 12, 13, 14].map((index) => Number(fields[index]))
  const sum = ticks.reduce((total, value) => total + value, 0)
  if (!Number.isFinite(sum)) throw new Error(`unreadable /proc/PID/stat: ${text}`)
  return sum / TICKS_PER_SECOND
}

/** The most memory that a process ever held, in MiB. */
export function peakMebibytes(pid: number): number {
  return memoryMebibytes(pid, 'VmHWM')
}

/** The same of a process that may have gone, which is 0 then. */
export function peakMebibytesIfThere(pid: number): number {
  try {
    return peakMebibytes(pid)
  } catch {
    return 0
  }
}

/** How often a process has read from a file or the like so far: pages of a database that are not in its own memory, mostly. */
export function readCalls(pid: number): number {
  const calls = /^syscr: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]
  if (calls === undefined) throw new Error(`no syscr in /proc/${pid}/io`)
  return Number(calls)
}

/** The memory that a process holds now, its program's pages among it, in MiB. */
export function residentMebibytes(pid: number): number {
  return memoryMebibytes(pid, 'VmRSS')
}

function memoryMebibytes(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
  if (kibibytes === undefined) throw new Error(`no ${field} for process ${pid}`)
  return Number(kibibytes) / 1024
}

/** Seconds that all cores of the machine worked so far, for whomever; what a host took away counts, too. proc_stat(5). */
export function machineSeconds(): number {
  return parseMachine(readFileSync('/proc/stat', 'utf8'))
}

/** user, nice, system, irq, softirq, steal of the first line; guests are in `user` already. */
export function parseMachine(text: string): number {
  const fields = text.slice(0, text.indexOf('\n')).trim().split(/\s+/)
  const ticks = [1, 2, 3, 6, 7, 8].map((index) => Number(fields[index]))
  const sum = ticks.reduce((total, value) => total + value, 0)
  if (!Number.isFinite(sum)) throw new Error(`unreadable /proc/stat: ${text.slice(0, 200)}`)
  return sum / TICKS_PER_SECOND
}
