import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createReserveFile, RESERVE_FILE, type ReserveFile } from './reserve-file.ts'

const SIZE = 3 * 1024 * 1024
let folder = ''
let reserve: ReserveFile

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-reserve-'))
  reserve = createReserveFile(folder)
})
afterEach(() => rmSync(folder, { recursive: true }))

const file = () => statSync(join(folder, RESERVE_FILE))

test('a reserve has all its bytes on the disk, for its owner alone, and gives them back', async () => {
  expect(reserve.held()).toBe(0)
  await reserve.make(SIZE)
  expect([reserve.held(), file().size, file().mode & 0o777]).toEqual([SIZE, SIZE, 0o600])
  expect(file().blocks * 512).toBeGreaterThanOrEqual(SIZE)
  expect(reserve.release()).toBe(true)
  expect([reserve.held(), reserve.release(), readdirSync(folder)]).toEqual([0, false, []])
})

test('one that is a hole is none, and is filled', async () => {
  writeFileSync(join(folder, RESERVE_FILE), '')
  truncateSync(join(folder, RESERVE_FILE), SIZE)
  expect(reserve.held()).toBeLessThan(SIZE)
  await reserve.make(SIZE)
  expect(reserve.held()).toBe(SIZE)
})

test('one of another size becomes as large as it should be', async () => {
  await reserve.make(SIZE)
  await reserve.make(SIZE / 3)
  expect([reserve.held(), file().size]).toEqual([SIZE / 3, SIZE / 3])
  await reserve.make(SIZE)
  expect([reserve.held(), file().size]).toEqual([SIZE, SIZE])
})

test('one that cannot be made leaves nothing', async () => {
  const nowhere = createReserveFile(join(folder, 'nowhere'))
  const error = await nowhere.make(SIZE).catch((error: unknown) => error)
  expect(error).toMatchObject({ code: 'ENOENT' })
  expect(readdirSync(folder)).toEqual([])
})
