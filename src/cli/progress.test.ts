import { describe, expect, test } from 'bun:test'
import { bytesText, countText, createProgressBar } from './progress.ts'

function open(columns: number | undefined, isTTY = true) {
  const written: string[] = []
  let time = 0
  const terminal = { isTTY, columns, write: (text: string) => written.push(text) }
  const bar = createProgressBar('export', terminal, () => time)
  const wait = (ms: number) => {
    time += ms
  }
  return { bar, written, wait }
}

describe('a progress bar', () => {
  test('is drawn over itself, at most ten times a second, and taken away', () => {
    const { bar, written, wait } = open(80)
    bar.show(0, 200, 'nothing yet')
    wait(99)
    bar.show(50, 200, 'too early')
    wait(1)
    bar.show(100, 200, 'half')
    bar.clear()
    bar.clear()
    expect(written).toEqual([
      `\rexport  [${'.'.repeat(30)}]   0%  nothing yet\x1b[K`,
      `\rexport  [${'#'.repeat(15)}${'.'.repeat(15)}]  50%  half\x1b[K`,
      '\r\x1b[K',
    ])
  })

  test('never fills a line, and never says more than all', () => {
    const { bar, written, wait } = open(20)
    bar.show(7, 5, 'text')
    wait(100)
    bar.show(7, undefined, 'without a total, a text')
    expect(written).toEqual(['\rexport  [##########\x1b[K', '\rexport  without a t\x1b[K'])
  })

  test('of nothing at all is full', () => {
    for (const columns of [undefined, 0]) {
      const { bar, written } = open(columns)
      bar.show(0, 0, 'done')
      expect(written).toEqual([`\rexport  [${'#'.repeat(30)}] 100%  done\x1b[K`])
    }
  })

  test('is not there without a terminal', () => {
    const { bar, written } = open(80, false)
    bar.show(1, 2, 'half')
    bar.clear()
    expect(written).toEqual([])
  })
})

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1024 * 1024 - 1, '1.0 MiB'],
  [12.34 * 1024 ** 3, '12.3 GiB'],
  [2 ** 62, '4096.0 PiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text)
})

test('counts are grouped', () => {
  expect([0, 999, 1234567].map(countText)).toEqual(['0', '999', '1,234,567'])
})
