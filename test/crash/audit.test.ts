import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hexOf } from '../../src/oci/digest.ts'
import { type Content, makeImage, pushImage } from '../image.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { audit, auditDirectory } from './audit.ts'
import { createLedger, type Ledger } from './ledger.ts'

const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const image = makeImage({ seed: 'audited', layers: [10_000] })
const other = makeImage({ seed: 'other', layers: [10] })
const [layer = image.config] = image.layers

/** The audits of the crash tests see what a crash could do. */
describe('an audit', () => {
  let first: Berth
  let ledger: Ledger
  const blobFile = ({ digest }: Content) =>
    join(first.dataDirectory, 'docker/registry/v2/blobs/sha256', hexOf(digest).slice(0, 2), hexOf(digest), 'data')
  const change = (sql: string) => {
    const database = new Database(join(first.dataDirectory, 'berth.db'))
    database.run(sql)
    database.close()
  }

  beforeEach(async () => {
    first = await startBerth({ env: ENV })
    ledger = createLedger()
    await pushImage(first.url, 'audit/app', image, { tag: 'latest' })
    for (const blob of [image.config, layer]) ledger.sendBlob('audit/app', blob)()
    ledger.sendManifest('audit/app', 'latest', image)()
    await first.stop()
  })
  afterEach(() => first.dispose())

  const faults = async () => {
    const berth = await startBerth({ env: ENV, dataDirectory: first.dataDirectory })
    try {
      return await audit(berth.url, ledger)
    } finally {
      await berth.stop()
      await berth.dispose()
    }
  }

  test('finds nothing where all is well, also where something was sent and never arrived', async () => {
    for (const blob of [other.config, ...other.layers]) ledger.sendBlob('audit/app', blob)
    ledger.sendManifest('audit/app', 'latest', other)
    ledger.sendManifest('audit/new', 'latest', other)
    expect(await faults()).toEqual([])
    expect(auditDirectory(first.dataDirectory)).toEqual([])
  })

  const DAMAGES: [string, () => void, RegExp, RegExp | undefined][] = [
    ['the file of a blob is gone', () => rmSync(blobFile(layer)), /blob .*: 404/, /has no file/],
    [
      'a byte of a blob is another one',
      () => {
        const bytes = readFileSync(blobFile(layer))
        bytes[5000] = (bytes[5000] ?? 0) ^ 1
        writeFileSync(blobFile(layer), bytes)
      },
      /has other bytes/,
      /has other bytes/,
    ],
    ['a tag is gone', () => change('DELETE FROM tags'), /tag audit\/app:latest: 404/, undefined],
    [
      'a manifest is gone',
      () => {
        change('DELETE FROM tags')
        change('DELETE FROM manifests')
      },
      /manifest audit\/app@.*: 404/,
      undefined,
    ],
    [
      'a repository is not listed',
      () => change('UPDATE repositories SET listed = 0'),
      /_catalog: .* missing/,
      undefined,
    ],
    ['a manifest lets go of its blobs', () => change('DELETE FROM manifest_blobs'), /^$/, /does not hold its blob/],
  ]
  test.each(DAMAGES)('finds that %s', async (_, damage, heard, seen) => {
    damage()
    if (seen !== undefined) expect(auditDirectory(first.dataDirectory).join('\n')).toMatch(seen)
    expect((await faults()).join('\n')).toMatch(heard)
  })

  test('finds a tag that points to something older than what was acknowledged last', async () => {
    ledger.sendManifest('audit/app', 'latest', other)()
    expect((await faults()).join('\n')).toMatch(/tag audit\/app:latest points to/)
  })

  test('finds what was never pushed', async () => {
    const empty = createLedger()
    const berth = await startBerth({ env: ENV, dataDirectory: first.dataDirectory })
    try {
      expect(await audit(berth.url, empty)).toEqual(['_catalog: audit/app was never pushed'])
    } finally {
      await berth.dispose()
    }
  })
})
