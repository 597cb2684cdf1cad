import type { Metadata, NewEvent } from '../metadata/metadata.ts'
import type { Log } from '../telemetry/log.ts'
import { createDelayedWrite } from './delayed-write.ts'

/** Events of pulls on their way to the database. */
export interface PullQueue {
  /** Never waits, and never throws. */
  add(event: NewEvent): void
  /** Writes what is there; for the end of the program. */
  close(): Promise<void>
}

/** Milliseconds that an event may wait here: a crash loses no more than those. */
const DELAY = 500
/** Events of one write, and what may wait while the database is slow: events, and characters of their details. */
const PORTION = 1000
const MAX_WAITING = 20_000
const MAX_SIZE = 32 * 1024 * 1024

/**
 * A pull must not wait for a write, and it changes nothing that an event could contradict: its events are written in portions, a
 * moment later. Where more come than can be written, the newest are left out, and the log says how many.
 */
export function createPullQueue(deps: {
  events: Pick<Metadata['events'], 'append'>
  onQueued: (events: readonly NewEvent[]) => void
  log: Pick<Log, 'warn' | 'error'>
}): PullQueue {
  const { events, onQueued, log } = deps
  let waiting: NewEvent[] = []
  let size = 0
  let lost = 0

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const portion = waiting.slice(0, PORTION)
      waiting = waiting.slice(PORTION)
      for (const { detail } of portion) size -= detail.length
      try {
        await events.append(portion)
        onQueued(portion)
      } catch (error) {
        lost += portion.length
        log.error('events of pulls could not be written', { error })
      }
    }
    if (lost > 0) log.warn('events of pulls were left out', { events: lost })
    lost = 0
  }

  const writes = createDelayedWrite(DELAY, write, () => waiting.length > 0)

  return {
    add(event) {
      if (waiting.length >= MAX_WAITING || size >= MAX_SIZE) lost++
      else {
        waiting.push(event)
        size += event.detail.length
      }
      writes.schedule()
    },
    close: writes.close,
  }
}
