import { readdirSync, readFileSync } from 'node:fs'
import type { Metrics, Reading } from './metrics.ts'

/** Linux' unit of CPU time in /proc (USER_HZ), seconds. */
const TICK = 0.01
const PAGE = 4096

/** What Prometheus' clients tell of their process, under the names that they all use; nothing where there is no /proc. */
export function observeProcess(metrics: Metrics): void {
  const one = (kind: 'counter' | 'gauge', name: string, help: string, read: () => number | undefined) =>
    metrics.observed(kind, name, help, [], (): Reading => {
      const value = read()
      return value === undefined ? [] : [[[], value]]
    })

  one('counter', 'process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  one('gauge', 'process_resident_memory_bytes', 'Resident memory size in bytes.', () => process.memoryUsage.rss())
  one('gauge', 'process_virtual_memory_bytes', 'Virtual memory size in bytes.', () => pages(0))
  one('gauge', 'process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', startTime)
  one('gauge', 'process_open_fds', 'Number of open file descriptors.', () => tried(() => readdirSync(FDS).length))
  one('gauge', 'process_max_fds', 'Maximum number of open file descriptors.', () =>
    tried(() => Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])),
  )
}

const FDS = '/proc/self/fd'

function pages(field: number): number | undefined {
  return tried(() => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[field]) * PAGE)
}

/** Seconds since the epoch. */
function startTime(): number | undefined {
  return tried(() => {
    // The name of the program, in brackets, may hold anything: fields are counted from behind it (proc(5), 22 is starttime).
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const booted = Number(/^btime (\d+)/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1])
    return booted + Number(fields[19]) * TICK
  })
}

function tried(read: () => number): number | undefined {
  try {
    const value = read()
    return Number.isFinite(value) ? value : undefined
  } catch {
    return undefined
  }
}
