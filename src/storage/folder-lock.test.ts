import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockFolder } from './folder-lock.ts'

test('a folder has one at work in it at a time, and no file of the lock', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-folder-lock-'))
  try {
    const first = lockFolder(folder)
    expect(first).toBeDefined()
    expect(lockFolder(folder)).toBeUndefined()
    first?.release()
    const second = lockFolder(folder)
    expect(second).toBeDefined()
    expect(readdirSync(folder)).toEqual([])
    second?.release()
  } finally {
    rmSync(folder, { recursive: true })
  }
})
