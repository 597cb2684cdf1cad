import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAudit } from './app-audit.ts'
import { openData } from './app-data.ts'
import { createLog } from './telemetry/log.ts'

describe('a folder in the place of a file', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-data-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const advice = (name: string, what: string) =>
    `${join(directory, name)} is a folder, and the file of ${what} belongs there: move it away, and start again`

  test('berth.db is left, and refused with what to do', async () => {
    mkdirSync(join(directory, 'berth.db'))
    await expect(openData({ directory, metadata: directory })).rejects.toThrow(advice('berth.db', 'the database'))
    expect(readdirSync(directory).sort()).toEqual(['berth.db', 'berth.lock'])
    // What it had taken is given back.
    rmSync(join(directory, 'berth.db'), { recursive: true })
    await (await openData({ directory, metadata: directory })).close()
  })

  test.each([
    ['audit.log', { file: undefined }],
    ['decisions.jsonl', { file: 'decisions.jsonl' }],
  ])('%s is left, and refused with what to do', async (name, { file }) => {
    mkdirSync(join(directory, name))
    const owned = await openData({ directory, metadata: directory })
    const log = createLog({ level: 'error', formatter: 'text', fields: {}, now: Date.now, write: () => {} })
    const config = { keepMs: 0, keepRows: 0, file: file && join(directory, file) }
    const opened = openAudit(config, { metadata: owned.metadata, directory, log, now: Date.now })
    await expect(opened).rejects.toThrow(advice(name, 'the audit log'))
    await owned.close()
  })
})
