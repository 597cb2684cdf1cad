import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openData } from './app-data.ts'
import { refuseLostBlobs } from './app-lost-database.ts'
import type { StoredBlob } from './metadata/metadata.ts'
import { digestOf } from './oci/digest.ts'
import { blobFolder } from './storage/distribution-path.ts'

describe('a data directory without its database', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-lost-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const folder = (path: string) => mkdirSync(join(directory, path), { recursive: true })
  const file = (path: string, text = 'x') => {
    folder(join(path, '..'))
    writeFileSync(join(directory, path), text)
  }
  const blob = () => file(`${blobFolder(digestOf(Buffer.from('a blob')))}/data`)
  const open = async (metadata = directory) => {
    const owned = await openData({ directory, metadata }).catch((error: Error) => error.message)
    if (typeof owned === 'string') return owned
    await owned.close()
    return 'opened'
  }

  const begun: [what: string, make: () => void][] = [
    ['that is new', () => {}],
    ['whose first start was cut short', () => file('berth.db', '')],
    ['that never had an image', () => folder('berth-uploads')],
    [
      'that has folders of blobs, all of them empty',
      () => [folder('berth-uploads'), folder('docker/registry/v2/blobs/sha256/ab')],
    ],
    ['of another registry that has blobs alone', () => blob()],
    [
      'of another registry, with a tree to adopt',
      () => [blob(), folder('berth-uploads'), folder('docker/registry/v2/repositories/app/_layers')],
    ],
  ]
  test.each(begun)('%s begins with an empty one', async (_, make) => {
    make()
    expect(await open()).toBe('opened')
    expect(readdirSync(directory)).toContain('berth.db')
  })

  const refused: [what: string, make: () => void, advice: string][] = [
    ['it is gone', () => {}, 'or restore a backup (berth restore)'],
    ['it is empty', () => file('berth.db', ''), 'or restore a backup (berth restore)'],
    [
      'copies are there, the newest of which is named',
      () => ['2026-11-26T030000.000Z', '2026-11-27T030000.000Z'].map((at) => file(`berth-snapshots/daily-${at}.db`)),
      'cp -p DIR/berth-snapshots/daily-2026-11-27T030000.000Z.db DIR/berth.db',
    ],
    ['the images were adopted once', () => file('docker/registry/v2/repositories', 'a note'), 'or restore a backup'],
  ]
  test.each(refused)('is refused where its blobs are and %s', async (_, make, advice) => {
    folder('berth-uploads')
    blob()
    make()
    const before = readdirSync(directory)
    const said = await open()
    expect(said).toContain('without it all of them would count as garbage')
    expect(said.replaceAll(directory, 'DIR')).toContain(advice)
    expect(readdirSync(directory).filter((name) => name !== 'berth.lock')).toEqual(before)
  })

  test('is refused where metadata.path leads to an empty folder, by that name', async () => {
    expect(await open()).toBe('opened')
    folder('berth-uploads')
    blob()
    const elsewhere = join(directory, 'elsewhere')
    expect(await open(elsewhere)).toContain(`its database ${elsewhere}/berth.db is not there`)
    expect(await open(elsewhere)).toContain('metadata.path says where it is')
    expect(await open()).toBe('opened')
  })
})

describe('a database without the folder of its blobs', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-lost-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const blob: StoredBlob = { digest: digestOf(Buffer.from('a blob')), size: 6, key: 'some/where', state: 'live' }
  const naming = (...blobs: StoredBlob[]) => ({ verification: { blobs: async () => blobs } })
  const ask = (metadata: ReturnType<typeof naming>) =>
    refuseLostBlobs(directory, metadata).then(
      () => 'goes on',
      (error: Error) => error.message,
    )

  test('is refused, with what to do, which helps', async () => {
    const said = await ask(naming(blob))
    expect(said).toContain(
      `the database names blobs, and ${directory}/docker/registry/v2/blobs is not there: mount the disk`,
    )
    const [, path = ''] = /mkdir -p (\S+)$/.exec(said) ?? []
    mkdirSync(path, { recursive: true })
    expect(await ask(naming(blob))).toBe('goes on')
  })

  test('that names none goes on', async () => expect(await ask(naming())).toBe('goes on'))
})
