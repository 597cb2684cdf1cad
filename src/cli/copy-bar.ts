import { bytesText, countText, createProgressBar, type Terminal } from './progress.ts'

/** Bytes tell how long it takes; files beside them count for 4 KiB each, because a link takes its time too. */
const ITEM = 4096

export function createCopyBar(
  title: string,
  terminal: Terminal,
  now: () => number,
): { total(of: { items: number; bytes: number }): void; bytes(count: number): void; item(): void; clear(): void } {
  const bar = createProgressBar(title, terminal, now)
  const total = { items: 0, bytes: 0 }
  const done = { items: 0, bytes: 0 }
  const show = () => {
    const files = `${countText(done.items)} of ${countText(total.items)}`
    const text = `${files}  ${bytesText(done.bytes)} of ${bytesText(total.bytes)}`
    bar.show(done.bytes + done.items * ITEM, total.bytes + total.items * ITEM, text)
  }
  return {
    total: (of) => void Object.assign(total, of),
    bytes(count) {
      done.bytes += count
      show()
    },
    item() {
      done.items++
      show()
    },
    clear: bar.clear,
  }
}
