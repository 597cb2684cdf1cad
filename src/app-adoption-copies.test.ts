import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { adoptTree, rehearseAdoption, type TreeFault } from './app-adoption.ts'
import type { Metadata } from './metadata/metadata.ts'
import { openSqlite } from './metadata/sqlite.ts'
import { ADOPTED_ROOT, pathOf, REPOSITORIES_ROOT } from './storage/distribution-path.ts'

const NOW = Date.UTC(2026, 0, 1)
const UPLOAD = 'f0ab7baa-b0fc-4a73-8098-76111295a328'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'berth-copies-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const config = () => ({
  data: { directory, metadata: directory },
  validation: { enabled: true, urls: { allow: [], deny: [] }, indexes: { platforms: 'all' as const } },
})

/** How people rename or copy a repository of registry:2: by its folder, with whatever is under way in it. */
describe('a repository whose folder was copied while an upload was under way', () => {
  beforeEach(() => {
    for (const [repository, bytes] of Object.entries({ app: 'the first', copy: 'the other' })) {
      const path = join(directory, pathOf({ kind: 'upload-data', repository, upload: UPLOAD }))
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, bytes)
      writeFileSync(join(dirname(path), 'startedat'), '2026-01-01T00:00:00Z')
    }
  })

  const broken = {
    kind: 'broken-upload',
    path: pathOf({ kind: 'upload-data', repository: 'copy', upload: UPLOAD }),
    detail: 'another repository has the upload; the client begins again',
  }

  test('is adopted, and the upload goes on in the first alone', async () => {
    const faults: TreeFault[] = []
    const found = await withDatabase(async (metadata) => {
      const wishes = { verify: false, onProgress: () => {}, onFault: (fault: TreeFault) => faults.push(fault) }
      const report = await adoptTree(config(), { metadata, now: () => NOW }, wishes)
      const rows = await Promise.all(['app', 'copy'].map((name) => metadata.uploads.find(name, UPLOAD)))
      return { uploads: report?.found.uploads, sizes: rows.map((row) => row?.size) }
    })
    expect(found).toEqual({ uploads: 1, sizes: [9, undefined] })
    expect(faults as unknown[]).toEqual([broken])
    expect(readFileSync(join(directory, 'berth-uploads', UPLOAD), 'utf8')).toBe('the first')
    // What is not adopted stays with the tree.
    const kept = pathOf({ kind: 'upload-data', repository: 'copy', upload: UPLOAD })
    expect(readFileSync(join(directory, kept.replace(REPOSITORIES_ROOT, ADOPTED_ROOT)), 'utf8')).toBe('the other')
  })

  test('is rehearsed, and nothing is changed', async () => {
    const faults: TreeFault[] = []
    const wishes = { verify: false, onProgress: () => {}, onFault: (fault: TreeFault) => faults.push(fault) }
    const report = await rehearseAdoption(config(), { now: () => NOW }, wishes)
    expect(report?.found.uploads).toBe(1)
    expect(faults as unknown[]).toEqual([broken])
    expect(existsSync(join(directory, REPOSITORIES_ROOT))).toBe(true)
    expect(readdirSync(directory)).toEqual(['docker'])
  })
})

async function withDatabase<T>(body: (metadata: Metadata) => Promise<T>): Promise<T> {
  const metadata = await openSqlite({ path: join(directory, 'berth.db'), now: () => NOW })
  try {
    return await body(metadata)
  } finally {
    await metadata.close()
  }
}
