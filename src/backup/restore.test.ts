import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeSnapshot } from '../metadata/snapshot.ts'
import { openQuickly } from '../metadata/sqlite.fixture.ts'
import { type Progress, runBackup } from './backup.ts'
import { isRestored, markRestored, RESTORE_FILE, refuseUnfinishedRestore } from './marker.ts'
import { runRestore } from './restore.ts'

const silent: Progress = { total: () => {}, bytes: () => {}, item: () => {} }

describe('a restore that is cut short', () => {
  let folder = ''
  const at = (name: string) => join(folder, name)
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-restore-'))
    mkdirSync(at('from'))
    const metadata = await openQuickly({ path: at('from/berth.db') })
    await metadata.close()
    await writeSnapshot(at('from/berth.db'), at('snapshot.db'))
    await runBackup({
      snapshot: async () => ({ path: at('snapshot.db'), at: 0, isHeld: async () => true, end: async () => {} }),
      ...{ storage: at('from'), database: at('from'), directory: at('backup'), replace: false, progress: silent },
    })
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const restore = () =>
    runRestore({
      ...{ from: at('backup'), verify: false, incomplete: false, progress: silent },
      ...{ storage: at('data'), database: at('db') },
    })

  test('marks its folders all the time until it is run again', async () => {
    mkdirSync(at('data'))
    mkdirSync(at('db'))
    for (const name of ['data', 'db']) writeFileSync(join(at(name), RESTORE_FILE), '')
    const before = statSync(join(at('data'), RESTORE_FILE), { bigint: true }).ctimeNs
    // Where the last step but one cannot be done.
    mkdirSync(at('db/berth.db'))
    await expect(restore()).rejects.toThrow('EISDIR')
    expect(statSync(join(at('data'), RESTORE_FILE), { bigint: true }).ctimeNs).toBe(before)
  })

  test('after it has given the folder of the database free goes on when it is run again', async () => {
    await restore()
    expect([existsSync(at('db/berth.db')), existsSync(join(at('data'), RESTORE_FILE))]).toEqual([true, false])
    await expect(restore()).rejects.toThrow('is not empty')
    markRestored(at('data'), at('db'))
    expect(() => refuseUnfinishedRestore(at('data'))).toThrow('was cut short')
    await restore()
    for (const name of ['data', 'db']) expect(readdirSync(at(name))).not.toContain(RESTORE_FILE)
    // It speaks of that folder alone.
    markRestored(at('data'), at('another'))
    expect(isRestored(at('data'), at('db'))).toBe(false)
    await expect(restore()).rejects.toThrow('is not empty')
  })
})
