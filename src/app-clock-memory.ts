import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bootId } from './app-files.ts'
import type { ClockHold, ClockMemory } from './jobs/clock-guard.ts'
import { createReportFile } from './telemetry/report-file.ts'

const FILE = 'berth-clock.json'

/** A small file in the data directory, which is there once the clock was set under a server. */
export function createClockMemory(directory: string): ClockMemory {
  const path = join(directory, FILE)
  return {
    boot: bootId(),
    read() {
      try {
        return holdOf(JSON.parse(readFileSync(path, 'utf8')))
      } catch {
        return undefined
      }
    },
    write(hold) {
      try {
        const file = createReportFile(path)
        try {
          file.line(hold)
          file.finish()
        } finally {
          file.discard()
        }
      } catch {
        // A disk that is full or read-only: nothing is removed by its age there by the next start alone.
      }
    },
  }
}

function holdOf(value: unknown): ClockHold | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { boot, until, left, ahead } = value as Record<string, unknown>
  if (typeof boot !== 'string') return undefined
  if (typeof until !== 'number' || typeof left !== 'number' || typeof ahead !== 'number') return undefined
  return { boot, until, left, ahead }
}
