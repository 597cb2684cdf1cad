import { expect, test } from 'bun:test'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLineWriter } from './line-writer.ts'

function written(use: (descriptor: number) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-lines-'))
  const path = join(folder, 'lines')
  const descriptor = openSync(path, 'w')
  try {
    use(descriptor)
    return readFileSync(path, 'utf8')
  } finally {
    closeSync(descriptor)
    rmSync(folder, { recursive: true })
  }
}

test('lines wait for the flush, and are whole then', () => {
  let before = 'unread'
  const text = written((descriptor) => {
    const writer = createLineWriter(descriptor, 60_000)
    writer.write('one')
    before = readFileSync(`/proc/self/fd/${descriptor}`, 'utf8')
    writer.write('zwei ü €')
    writer.flush()
  })
  expect([before, text]).toEqual(['', 'one\nzwei ü €\n'])
})

test('a line is written at once where nothing may wait', () => {
  expect(written((descriptor) => createLineWriter(descriptor, 0).write('now'))).toBe('now\n')
})

test('lines longer than the buffer, and many of them, come in order', () => {
  const lines = Array.from({ length: 500 }, (_, i) => `${i} ${'€'.repeat((i * 137) % 900)}`)
  lines.push('x'.repeat(300_000), 'last')
  const text = written((descriptor) => {
    const writer = createLineWriter(descriptor, 60_000)
    for (const line of lines) writer.write(line)
    writer.flush()
  })
  expect(text).toBe(`${lines.join('\n')}\n`)
})

test('a reader that went away ends nothing', () => {
  const writer = createLineWriter(1_000_000, 0)
  expect(() => writer.write('nobody reads this')).not.toThrow()
})
