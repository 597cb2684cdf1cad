/** How far something is, on one line of a terminal that is drawn again and again. */
export interface ProgressBar {
  /** `done` of `total` in any unit, and what else there is to say. Without a total there is no bar. */
  show(done: number, total: number | undefined, text: string): void
  /** Takes the line away. */
  clear(): void
}

export interface Terminal {
  isTTY?: boolean | undefined
  columns?: number | undefined
  write(text: string): unknown
}

/** Milliseconds between two drawings. */
const EVERY = 100
const WIDTH = 30

/** Draws nothing where there is no terminal: a log has no use for it. `now` in milliseconds. */
export function createProgressBar(title: string, terminal: Terminal, now: () => number): ProgressBar {
  if (terminal.isTTY !== true) return { show: () => {}, clear: () => {} }
  let last = Number.NEGATIVE_INFINITY
  let isDrawn = false
  return {
    show(done, total, text) {
      const at = now()
      if (at - last < EVERY) return
      last = at
      isDrawn = true
      const bar = total === undefined ? '' : `${barOf(total === 0 ? 1 : Math.min(done / total, 1))}  `
      // One column stays free, for a line that is full would wrap. A terminal that knows no size says 0.
      const line = `${title}  ${bar}${text}`.slice(0, (terminal.columns || 80) - 1)
      terminal.write(`\r${line}\x1b[K`)
    },
    clear() {
      if (isDrawn) terminal.write('\r\x1b[K')
      isDrawn = false
    },
  }
}

/** `[####......]  40%` */
export function barOf(share: number): string {
  const full = Math.round(share * WIDTH)
  return `[${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] ${String(Math.floor(share * 100)).padStart(3)}%`
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `999 B`, `1.0 KiB`, `12.3 GiB` */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  let value = bytes / 1024
  let unit = 0
  // 1023.95 would be shown as 1024.0.
  for (; value >= 1023.95 && unit < UNITS.length - 1; unit++) value /= 1024
  return `${value.toFixed(1)} ${UNITS[unit]}`
}

/** `12,345` */
export function countText(count: number): string {
  return count.toLocaleString('en-US')
}

/** `1 tag`, `2,000 tags`; for a noun with a plural of its own, both. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${countText(count)} ${count === 1 ? noun : plural}`
}
