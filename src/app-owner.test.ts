import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { untilFree } from './app-owner.ts'
import { isDirectoryFree, type Lock, lockDirectory } from './metadata/owner-lock.ts'

describe('a start that meets the data directory in use', () => {
  let directory = ''
  let lock: Lock | undefined
  let lines: { message: string; fields: unknown }[] = []
  let asked = 0
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-owner-'))
    lock = undefined
    lines = []
    asked = 0
  })
  afterEach(() => {
    lock?.release()
    rmSync(directory, { recursive: true })
  })

  const log = { warn: (message: string, fields?: unknown) => lines.push({ message, fields }) }
  const served = (answer: boolean) => async () => {
    asked++
    return answer
  }
  const wait = (more: { metadata?: string; isServed?: boolean; waitMs?: number; signal?: AbortSignal } = {}) => {
    const { metadata = directory, isServed = false, ...rest } = more
    return untilFree({ directory, metadata }, { log, isServed: served(isServed), waitMs: 600_000, ...rest })
  }
  const line = {
    message: 'the data directory is in use, by a command perhaps: the start waits for it',
    fields: expect.objectContaining({ seconds: 600 }),
  }

  test('goes on at once where nobody has it', async () => {
    await wait()
    expect([asked, lines]).toEqual([0, []])
  })

  test.each(['data', 'metadata'])('says so, and goes on as soon as it is given free: %s', async (which) => {
    const metadata = which === 'data' ? directory : join(directory, 'db')
    mkdirSync(metadata, { recursive: true })
    lock = lockDirectory(metadata)
    expect(isDirectoryFree(metadata)).toBe(false)
    const waiting = wait({ metadata })
    let isOver = false
    void waiting.then(() => {
      isOver = true
    })
    while (lines.length === 0) await Bun.sleep(1)
    expect(isOver).toBe(false)
    lock?.release()
    await waiting
    expect([asked, lines]).toEqual([1, [line]])
    expect(isDirectoryFree(metadata)).toBe(true)
  })

  test('does not wait for a server that answers', async () => {
    lock = lockDirectory(directory)
    await wait({ isServed: true })
    expect([asked, lines]).toEqual([1, []])
  })

  test('waits no longer than it may, and takes nothing', async () => {
    lock = lockDirectory(directory)
    await wait({ waitMs: 300 })
    expect(lines).toHaveLength(1)
    expect(isDirectoryFree(directory)).toBe(false)
  })

  test('ends when it is asked to', async () => {
    lock = lockDirectory(directory)
    await wait({ signal: AbortSignal.abort() })
    expect(lines).toHaveLength(1)
  })

  test('leaves what cannot be looked at to what opens it', async () => {
    mkdirSync(join(directory, 'berth.lock'))
    await wait()
    expect([asked, lines]).toEqual([0, []])
  })
})
