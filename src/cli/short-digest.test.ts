import { expect, test } from 'bun:test'
import type { Answer } from './control.ts'
import { wholeDigest } from './short-digest.ts'

const A = `sha256:8a3da27d7165${'0'.repeat(52)}`
const B = `sha256:8a3da27d7165${'1'.repeat(52)}`
const C = `sha256:4f4fb700ef54${'2'.repeat(52)}`

/** Two pages. */
async function page(before: string | undefined): Promise<Answer<(string | null)[]>> {
  const next = before === undefined ? new URLSearchParams('before=7') : undefined
  return { text: '', json: before === undefined ? [A, null, A] : [C], next, notice: undefined }
}

const whole = (text: string) => wholeDigest(text, page, (json) => json)

test('a digest of a list is found by its beginning, on every page', async () => {
  expect(await whole('8a3da27d7165')).toBe(A)
  expect(await whole('sha256:8a3da27d7165')).toBe(A)
  expect(await whole('4f4fb7')).toBe(C)
})

test('what is whole, or no digest, is left to the server', async () => {
  for (const text of [B, 'v1', '8a3d', 'sha256:x']) expect(await whole(text)).toBe(text)
})

test('of several, and of none, it says so', async () => {
  expect(whole('sha256:999999')).rejects.toThrow('nothing here has a digest that begins with sha256:999999')
  const both = wholeDigest(
    '8a3da27d7165',
    async () => ({ ...(await page('x')), json: [A, B] }),
    (json) => json,
  )
  expect(both).rejects.toThrow(`2 digests begin with sha256:8a3da27d7165: ${A}, ${B}`)
})
