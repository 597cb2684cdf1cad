import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/** Of 1024 that any other thread has: a tenth. Less would let a look at all of the database, which keeps its log from being restarted, last for ever. */
const NICE = 10

/**
 * From now on, this thread has the processors after all others of the machine that want them: clients do not wait for work that nobody
 * waits for. On Linux alone, where threads have priorities of their own; elsewhere nothing happens.
 */
export function giveWay(): void {
  try {
    const id = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    if (Number.isInteger(id) && id > 0) setPriority(id, NICE)
  } catch {
    // Work that takes turns with the others is work all the same.
  }
}
