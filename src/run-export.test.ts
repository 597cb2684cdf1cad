import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from './config/load.ts'
import type { Control } from './run-control.ts'
import { type ExportRequest, exportData, parseSelection } from './run-export.ts'

describe('an export through the control socket', () => {
  let folder = ''

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-export-'))
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  async function exported(control: Partial<Control>, more: Partial<ExportRequest> = {}): Promise<string> {
    const { config } = loadConfig({ env: {}, flags: { data: join(folder, 'data') } })
    if (config === undefined) throw new Error('there is no configuration')
    const request: ExportRequest = {
      layout: 'distribution',
      directory: join(folder, 'out'),
      dryRun: false,
      verbatim: false,
      selection: parseSelection([], []),
      now: Date.now,
      progress: { total: () => {}, bytes: () => {}, item: () => {} },
      ...more,
    }
    const whole = { isServer: true, fetch: async () => Response.json({}), close: async () => {}, ...control }
    return await exportData(whole, config, request).then(
      () => 'done',
      (error: Error) => `${error.name}: ${error.message}`,
    )
  }

  test('says that the server has ended, in the middle of it', async () => {
    let asked = 0
    const fetch = async () => {
      if (++asked > 1) throw new TypeError('ECONNRESET')
      return Response.json({ repositories: [] })
    }
    expect(await exported({ fetch })).toBe(
      'ExportError: the server has ended. Export again: what is there already is kept',
    )
    expect(asked).toBe(2)
  })

  test('says what the server says', async () => {
    const fetch = async () => Response.json({ detail: 'the database is damaged' }, { status: 503 })
    expect(await exported({ fetch })).toBe(
      'ExportError: the server does not tell what it holds: the database is damaged',
    )
  })

  test('in place asks a server nothing', async () => {
    const fetch = async () => {
      throw new Error('it was asked')
    }
    expect(await exported({ fetch }, { directory: undefined })).toStartWith('ExportError: a server runs on ')
    expect(existsSync(join(folder, 'data'))).toBe(false)
  })
})
