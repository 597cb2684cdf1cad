import { getPriority, setPriority } from 'node:os'

/**
 * Nice values above those of the threads that clients wait for: a third of the processors, where all want more than there is. Less would
 * let a look at all of the database last for ever, which keeps its log from being restarted.
 */
const YIELDING = 5
/** Has what nobody else wants. */
const LAST = 19

/**
 * From now on, the thread that calls this has the processors after those that clients wait for; `last`: after all others of the machine.
 * On Linux alone, where threads have priorities of their own.
 */
export function giveWay(how: 'yielding' | 'last' = 'yielding'): void {
  if (process.platform !== 'linux') return
  try {
    // 0 is the calling thread alone.
    setPriority(0, how === 'last' ? LAST : Math.min(LAST, getPriority(0) + YIELDING))
  } catch {
    // A sandbox may forbid it; it is only a courtesy.
  }
}
