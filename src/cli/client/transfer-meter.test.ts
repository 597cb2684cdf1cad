import { expect, test } from 'bun:test'
import type { ClientContext } from './context.ts'
import { createMeter } from './transfer-meter.ts'

const HEX = `8a3da27d7165${'0'.repeat(52)}`
const BLOB = { mediaType: 'application/octet-stream', digest: `sha256:${HEX}`, size: 200 } as const

function shown(isTTY: boolean): string {
  let text = ''
  const take = (more: string) => {
    text += more
  }
  const context: Pick<ClientContext, 'error' | 'now' | 'terminal'> = {
    error: take,
    now: () => 0,
    terminal: { isTTY, columns: 80, write: take },
  }
  createMeter(context as ClientContext, { progress: 'auto' })
    .begin(BLOB)
    .end('checked')
  return text
}

test('a blob that is done has 12 digits on a terminal, and its digest in a log', () => {
  expect(shown(true)).toBe('8a3da27d7165 checked (200 B)\n')
  expect(shown(false)).toBe(`sha256:${HEX} checked (200 B)\n`)
})
