import { closeSync, ftruncateSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'

/** Share of all memory that may stay free: what is left below it takes longer to fill than it disturbs. */
const FREE_SHARE = 0.15
const STEP_BYTES = 4 * 1024 * 1024
const LIMIT_MS = 75_000

/**
 * Fills free memory with pages of a file without content, as the cache of a machine that has run for a while is full. A
 * virtual machine may have given its free memory back to its host, which takes it up again page by page when it is first
 * written to: 2 CPU seconds a GiB on one host, more than all of a push, and charged to whichever server writes just then.
 * The pages are clean: whoever needs memory gets them at once.
 */
export function fillMemory(folder: string): void {
  const until = performance.now() + LIMIT_MS
  const { total } = memory()
  const fd = openSync(join(folder, 'nothing'), 'w+')
  try {
    ftruncateSync(fd, total)
    const buffer = new Uint8Array(STEP_BYTES)
    for (let at = 0; at < total && performance.now() < until; at += STEP_BYTES) {
      if (memory().free < total * FREE_SHARE) return
      readSync(fd, buffer, 0, buffer.length, at)
    }
  } finally {
    closeSync(fd)
  }
}

/** Bytes. */
function memory(): { total: number; free: number } {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024
  return { total: read('MemTotal'), free: read('MemFree') }
}
