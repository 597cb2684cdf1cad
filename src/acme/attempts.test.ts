import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Attempts, nextAttempt, readAttempts, writeAttempts } from './attempts.ts'
import { AcmeError } from './error.ts'

const MINUTE = 60_000

function waits(error: unknown, count: number): number[] {
  const minutes: number[] = []
  let attempts: Attempts | undefined
  for (let i = 0; i < count; i++) {
    attempts = nextAttempt(attempts, error, 0, 0)
    minutes.push(attempts.notBefore / MINUTE)
  }
  return minutes
}

test('a failed validation is tried again after ever longer waits, never five times in the first hour', () => {
  expect(waits(new AcmeError('invalid', 'x'), 8)).toEqual([5, 15, 45, 135, 405, 1215, 1440, 1440])
})

test('what could not be reached is tried again sooner', () => {
  expect(waits(new AcmeError('unreachable', 'x'), 8)).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
  expect(waits(new Error('the disk is full'), 2)).toEqual([1, 2])
})

test('as late as the server asks', () => {
  const error = new AcmeError('rateLimited', 'too many', { retryAfterMs: 200 * MINUTE })
  expect(nextAttempt(undefined, error, 1000, 0)).toEqual({
    failures: 1,
    notBefore: 1000 + 200 * MINUTE,
    reason: 'too many',
  })
})

test('not all at the same time', () => {
  expect(nextAttempt(undefined, new AcmeError('invalid', 'x'), 0, 1).notBefore / MINUTE).toBe(6.25)
})

test('they outlive the process, for the same hosts at the same authority', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-attempts-'))
  const path = join(folder, 'attempts.json')
  const attempts = { failures: 2, notBefore: 5, reason: 'because' }
  expect(await readAttempts(path, 'a')).toBeUndefined()
  await writeAttempts(path, 'a', attempts)
  expect(await readAttempts(path, 'a')).toEqual(attempts)
  expect(await readAttempts(path, 'b')).toBeUndefined()
  for (const damaged of ['', '{', '[]', '{"subject":"a"}']) {
    writeFileSync(path, damaged)
    expect(await readAttempts(path, 'a')).toBeUndefined()
  }
  rmSync(folder, { recursive: true })
})
