import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { StoredBlob } from '../metadata/metadata.ts'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { lockFolder } from '../storage/folder-lock.ts'
import { createContents } from './contents.fixture.ts'
import { type ExportOptions, runExport } from './export.ts'
import { parseSelection } from './selection.ts'

const REPOSITORIES = 'docker/registry/v2/repositories'
const QUIET = { total: () => {}, bytes: () => {}, item: () => {} }
const IMAGE = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest }

describe('an export in registry:2’s layout', () => {
  let folder = ''
  let data = ''
  let out = ''
  let rows: ReturnType<typeof createContents>

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-export-'))
    data = join(folder, 'data')
    out = join(folder, 'out')
    mkdirSync(data)
    rows = createContents()
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const run = (more: Partial<ExportOptions> = {}) =>
    runExport({
      layout: 'distribution',
      contents: rows.contents,
      storage: data,
      directory: out,
      inPlace: false,
      dryRun: false,
      verbatim: false,
      selection: parseSelection([], []),
      now: Date.now,
      progress: QUIET,
      ...more,
    })
  const inPlace = () => run({ directory: data, inPlace: true })

  /** Puts the bytes where the row says that they are. */
  function store(text: string, { key }: StoredBlob): void {
    const path = join(data, key)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }

  function push(repository = 'team/app', tag = 'v1', text = 'layer') {
    store(text, rows.addBlob(repository, text))
    return rows.addManifest(repository, { ...IMAGE, of: text }, { tags: [tag] })
  }

  const read = (path: string, root = out) => readFileSync(join(root, 'docker/registry/v2', path), 'utf8')
  const linkOf = (digest: string) => `${digest.replace(':', '/')}/link`
  const blobOf = (digest: string) => `blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      () => 'it was not refused',
      (error: Error) => `${error.name}: ${error.message}`.replaceAll(folder, '…'),
    )

  test('has every link with the time of its row, the bytes of manifests, and blobs by a second name', async () => {
    const { digest, bytes } = push()
    const [blob] = [...rows.of('team/app').blobs.values()]
    const report = await run()
    const tag = 'repositories/team/app/_manifests/tags/v1'
    const revision = `repositories/team/app/_manifests/revisions/${linkOf(digest)}`
    expect(read(`${tag}/current/link`)).toBe(digest)
    expect(read(`${tag}/index/${linkOf(digest)}`)).toBe(digest)
    expect(read(revision)).toBe(digest)
    expect(read(blobOf(digest))).toBe(Buffer.from(bytes).toString())
    expect(read(`repositories/team/app/_layers/${linkOf(blob?.digest ?? '')}`)).toBe(blob?.digest ?? '')
    const path = join('docker/registry/v2', blobOf(blob?.digest ?? ''))
    expect(statSync(join(out, path)).ino).toBe(statSync(join(data, path)).ino)
    const modified = (of: string) => statSync(join(out, 'docker/registry/v2', of)).mtimeMs
    expect([modified(revision), modified(`${tag}/current/link`)]).toEqual([1_700_000_000_000, 1_700_000_001_000])
    expect(readdirSync(join(out, 'docker/registry/v2')).sort()).toEqual(['blobs', 'repositories'])
    expect(report).toMatchObject({
      repositories: 1,
      tags: 1,
      manifests: 1,
      blobs: 1,
      linked: { files: 1, bytes: 5 },
      problems: 0,
    })
  })

  test('every digest that a tag had is in its index while both are there, with its last time', async () => {
    const { digest } = push()
    const old = rows.addManifest('team/app', { ...IMAGE, old: 1 })
    const gone = `sha256:${'a'.repeat(64)}` as const
    rows
      .of('team/app')
      .moves.push(
        { id: 1, tag: 'v1', digest: old.digest, at: 1_600_000_000_000 },
        { id: 2, tag: 'v1', digest: gone, at: 1_600_000_000_000 },
        { id: 3, tag: 'v1', digest: old.digest, at: 1_650_000_000_000 },
        { id: 4, tag: 'v1', digest, at: 1_600_000_000_000 },
        { id: 5, tag: 'deleted', digest, at: 1_600_000_000_000 },
      )
    await run()
    const tags = join(out, REPOSITORIES, 'team/app/_manifests/tags')
    expect(readdirSync(tags)).toEqual(['v1'])
    const hexes = [digest, old.digest].map((of) => of.slice('sha256:'.length))
    expect(readdirSync(join(tags, 'v1/index/sha256')).sort()).toEqual([...hexes].sort())
    const times = hexes.map((hex) => statSync(join(tags, 'v1/index/sha256', hex, 'link')).mtimeMs)
    expect(times).toEqual([1_700_000_001_000, 1_650_000_000_000])
    // It knows its own tree again.
    expect((await run()).problems).toBe(0)
  })

  test('a row with a time in the future gets no link that seems newer than the export', async () => {
    const { digest } = push()
    rows.of('team/app').tags.set('v1', { digest, updatedAt: Date.now() + 1e9 })
    await run()
    expect((await run()).tags).toBe(1)
  })

  test('a manifest that is pushed while tags are read comes with its children', async () => {
    push()
    let child = ''
    rows.ask((noun) => {
      if (noun !== 'tags' || child !== '') return
      const late = rows.addManifest('team/app', { ...IMAGE, late: 1 }, { isChild: true })
      child = late.digest
      const descriptor = { mediaType: late.mediaType, digest: late.digest, size: late.bytes.byteLength }
      const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [descriptor] }
      rows.addManifest('team/app', index, { tags: ['late'], mediaType: MEDIA_TYPES.ociIndex })
    })
    await run()
    expect(existsSync(join(out, REPOSITORIES, `team/app/_manifests/revisions/${linkOf(child)}`))).toBe(true)
    expect(readdirSync(join(out, REPOSITORIES, 'team/app/_manifests/tags')).sort()).toEqual(['late', 'v1'])
  })

  test('a tag whose manifest is deleted meanwhile is left out', async () => {
    push()
    const gone = rows.addManifest('team/app', { ...IMAGE, gone: 1 })
    rows.of('team/app').manifests.delete(gone.digest)
    rows.of('team/app').tags.set('gone', { digest: gone.digest, updatedAt: 1 })
    const report = await run()
    expect(readdirSync(join(out, REPOSITORIES, 'team/app/_manifests/tags'))).toEqual(['v1'])
    expect(report.problems).toBe(0)
  })

  test('a blob that moves to another key meanwhile is found there, and stands at its own path', async () => {
    push()
    const [blob] = [...rows.of('team/app').blobs.values()]
    if (blob === undefined) throw new Error('there is a blob')
    const moved = { ...blob, key: `${blob.key}.gen2` }
    rmSync(join(data, blob.key))
    store('layer', moved)
    let asked = 0
    rows.ask((noun) => {
      if (noun === 'blobs' && ++asked === 2) rows.of('team/app').blobs.set(blob.digest, moved)
    })
    expect((await run()).problems).toBe(0)
    expect(read(blobOf(blob.digest))).toBe('layer')
  })

  test('a blob without bytes, and one of another size, are told, and the rest is exported', async () => {
    push('a', 'v1', 'one')
    push('b', 'v1', 'two')
    push('c', 'v1', 'three')
    const keyOf = (repository: string) => join(data, [...rows.of(repository).blobs.values()][0]?.key ?? '')
    rmSync(keyOf('a'))
    writeFileSync(keyOf('b'), 'longer')
    const report = await run()
    expect(report.problems).toBe(2)
    expect(report.findings.map(({ kind, repository }) => [kind, repository])).toEqual([
      ['missing-bytes', 'a'],
      ['missing-bytes', 'b'],
    ])
    expect(report).toMatchObject({ repositories: 3, linked: { files: 1 } })
  })

  test('again, it takes away what is gone, and copies nothing twice', async () => {
    push()
    push('team/app', 'v2', 'another')
    await run()
    rows.of('team/app').tags.delete('v2')
    const report = await run()
    expect(readdirSync(join(out, REPOSITORIES, 'team/app/_manifests/tags'))).toEqual(['v1'])
    expect(report).toMatchObject({ linked: { files: 0 }, present: { files: 2 }, problems: 0 })
  })

  test('a blob of an earlier run that is cut short is replaced', async () => {
    push()
    await run()
    const [blob] = [...rows.of('team/app').blobs.values()]
    const path = join(out, 'docker/registry/v2', blobOf(blob?.digest ?? ''))
    rmSync(path)
    writeFileSync(path, 'lay')
    await run()
    expect(readFileSync(path, 'utf8')).toBe('layer')
    expect(readFileSync(join(data, blob?.key ?? ''), 'utf8')).toBe('layer')
  })

  describe('touches nothing that is not its own:', () => {
    const foreign: [string, () => void, string][] = [
      [
        'a folder with files',
        () => {
          mkdirSync(join(out, 'deep'), { recursive: true })
          writeFileSync(join(out, 'deep/letter'), '')
        },
        'ExportError: …/out holds something else (deep/letter). Name a folder that is empty, or not there yet',
      ],
      ['a file', () => writeFileSync(out, ''), 'ExportError: …/out is a file; name a folder'],
      [
        'a registry’s own data',
        () => mkdirSync(join(out, REPOSITORIES, 'theirs'), { recursive: true }),
        'ExportError: …/out holds a registry that Berth did not write (…/out/docker/registry/v2/repositories). Name another folder',
      ],
      [
        'a workspace of somebody else',
        () => {
          mkdirSync(join(out, `${REPOSITORIES}.export`), { recursive: true })
          writeFileSync(join(out, `${REPOSITORIES}.export/letter`), '')
        },
        'ExportError: …/out/docker/registry/v2/repositories.export is in the way, and not from an export; move it elsewhere',
      ],
    ]
    for (const [name, make, message] of foreign) {
      test(name, async () => {
        push()
        make()
        expect(await refusal(run())).toBe(message)
      })
    }

    test('a registry that pushed, retagged or deleted since the export', async () => {
      push()
      const tag = join(out, REPOSITORIES, 'team/app/_manifests/tags/v1')
      const later = Date.now() / 1000 + 3600
      const changes: [() => void, string][] = [
        [() => mkdirSync(join(out, REPOSITORIES, 'team/new/_uploads'), { recursive: true }), 'team is newer'],
        [
          () => utimesSync(join(tag, 'current/link'), later, later),
          'team/app/_manifests/tags/v1/current/link is newer',
        ],
        [() => rmSync(join(out, REPOSITORIES, 'team'), { recursive: true }), 'it has 0 links in place of 4'],
      ]
      for (const [change, what] of changes) {
        rmSync(out, { recursive: true, force: true })
        await run()
        if (what.startsWith('team is')) await untilLater(join(out, REPOSITORIES, 'berth-export.json'))
        change()
        expect(await refusal(run())).toBe(
          `ExportError: the registry in …/out was written to since it was exported: ${what}. Export to another folder, or remove this one`,
        )
      }
    })

    test('the data directory itself, by whatever path', async () => {
      symlinkSync(data, join(folder, 'link'))
      for (const directory of [data, join(folder, 'link')]) {
        expect(await refusal(run({ directory }))).toContain(
          "is Berth's own data directory; --in-place writes the links",
        )
      }
      for (const directory of [join(data, 'below/it'), join(folder, 'link/below'), folder]) {
        expect(await refusal(run({ directory }))).toContain('lie one within the other; name another folder')
      }
    })
  })

  test('goes on after it was cut short at any time', async () => {
    push()
    rows.ask((noun) => {
      if (noun === 'tags') throw new Error('cut short')
    })
    expect(await refusal(run())).toBe('Error: cut short')
    expect(existsSync(join(out, REPOSITORIES))).toBe(false)
    expect(existsSync(join(out, `${REPOSITORIES}.export`))).toBe(true)
    rows.ask(() => {})
    expect((await run()).tags).toBe(1)
    expect(readdirSync(join(out, 'docker/registry/v2')).sort()).toEqual(['blobs', 'repositories'])
  })

  test('knows what is its own, however early it was cut short', async () => {
    push()
    const workspace = join(out, `${REPOSITORIES}.export`)
    for (const file of [undefined, 'marker']) {
      rmSync(out, { recursive: true, force: true })
      mkdirSync(workspace, { recursive: true })
      if (file !== undefined) writeFileSync(join(workspace, file), '{')
      expect((await run()).tags).toBe(1)
      expect(readdirSync(join(out, 'docker/registry/v2')).sort()).toEqual(['blobs', 'repositories'])
    }
    // A folder that somebody made there does not make the rest Berth's.
    rmSync(out, { recursive: true })
    mkdirSync(workspace, { recursive: true })
    writeFileSync(join(out, 'letter'), '')
    expect(await refusal(run())).toContain('holds something else (letter)')
  })

  test('while another one runs into the same folder it is refused, and touches nothing of it', async () => {
    push()
    mkdirSync(join(out, `${REPOSITORIES}.export/tree`), { recursive: true })
    const other = lockFolder(out)
    for (const layout of ['distribution', 'oci'] as const) {
      expect(await refusal(run({ layout }))).toBe('ExportError: …/out is in use: another export runs there')
      expect(readdirSync(out, { recursive: true }).sort().at(-1)).toBe(`${REPOSITORIES}.export/tree`)
    }
    other?.release()
    expect((await run()).tags).toBe(1)
    expect((await run()).tags).toBe(1)
  })

  test('a dry run reports the same, and writes nothing', async () => {
    push()
    const planned = await run({ dryRun: true })
    expect(existsSync(out)).toBe(false)
    expect({ ...(await run()), dryRun: true }).toEqual(planned)
  })

  test('only what the patterns match is exported; what matches nothing is refused', async () => {
    for (const name of ['team/app', 'team/app/deep', 'other', 'team']) push(name)
    const select = (...patterns: string[]) => ({ selection: parseSelection([], patterns) })
    await run(select('team/*', 'oth*'))
    expect(readdirSync(join(out, REPOSITORIES)).sort()).toEqual(['berth-export.json', 'other', 'team'])
    expect(readdirSync(join(out, REPOSITORIES, 'team'))).toEqual(['app'])
    expect(readdirSync(join(out, REPOSITORIES, 'team/app')).sort()).toEqual(['_layers', '_manifests'])
    await run(select('team/**'))
    expect(readdirSync(join(out, REPOSITORIES, 'team/app')).sort()).toEqual(['_layers', '_manifests', 'deep'])
    expect(await refusal(run(select('no/**')))).toBe('ExportError: there is no repository no/**')
  })

  describe('in place', () => {
    test('stands beside the blobs, takes the place of the file that adoption left, and leaves the adopted tree', async () => {
      const { digest } = push()
      mkdirSync(join(data, `${REPOSITORIES}.berth/team`), { recursive: true })
      writeFileSync(join(data, REPOSITORIES), 'adopted by Berth')
      const report = await inPlace()
      expect(read(`repositories/team/app/_manifests/tags/v1/current/link`, data)).toBe(digest)
      expect(readdirSync(join(data, 'docker/registry/v2')).sort()).toEqual([
        'blobs',
        'repositories',
        'repositories.berth',
      ])
      expect(JSON.parse(read('repositories/berth-export.json', data))).toMatchObject({
        ...{ kind: 'berth-export', layout: 'distribution', inPlace: true, complete: true, links: 4 },
      })
      expect(report).toMatchObject({ present: { files: 1 }, linked: { files: 0 }, problems: 0 })
    })

    test('a blob under a later key gets its own path, whatever lies there', async () => {
      push()
      const [blob] = [...rows.of('team/app').blobs.values()]
      if (blob === undefined) throw new Error('there is a blob')
      const moved = { ...blob, key: `${blob.key}.gen2` }
      rows.of('team/app').blobs.set(blob.digest, moved)
      store('layer', moved)
      writeFileSync(join(data, blob.key), 'wrong')
      expect(await inPlace()).toMatchObject({ linked: { files: 1 }, problems: 0 })
      expect(statSync(join(data, blob.key)).ino).toBe(statSync(join(data, moved.key)).ino)
      expect(await inPlace()).toMatchObject({ linked: { files: 0 }, present: { files: 1 } })
    })

    test('refuses a tree of registry:2, and one that it wrote to', async () => {
      push()
      mkdirSync(join(data, REPOSITORIES, 'theirs'), { recursive: true })
      expect(await refusal(inPlace())).toBe(
        'ExportError: …/data/docker/registry/v2/repositories was written by registry:2 and not by an export. ' +
          'Start Berth, which adopts it, then stop it and export again',
      )
      rmSync(join(data, REPOSITORIES), { recursive: true })
      await inPlace()
      const later = Date.now() / 1000 + 3600
      utimesSync(join(data, REPOSITORIES, 'team'), later, later)
      expect(await refusal(inPlace())).toContain('team is newer. Start Berth, which adopts the difference')
    })
  })

  test('tells what the original treats otherwise', async () => {
    const { digest } = push()
    rows.addManifest('team/app', { schemaVersion: 2 }, { mediaType: MEDIA_TYPES.dockerManifest })
    rows.addManifest('team/app', { ...IMAGE, s: 1 }, { subject: digest })
    rows.addManifest('team/app', { ...IMAGE, s: 2 }, { digest: `sha512:${'a'.repeat(128)}` })
    const { counts, findings, problems } = await run()
    expect([counts, problems]).toEqual([{ 'media-type': 1, referrer: 1, sha512: 1 }, 0])
    expect(findings.find(({ kind }) => kind === 'media-type')?.detail).toBe(
      'served as application/vnd.oci.image.manifest.v1+json, not as application/vnd.docker.distribution.manifest.v2+json',
    )
  })
})

/** Until the clock of the file system has left the moment of the file. */
async function untilLater(path: string): Promise<void> {
  const probe = `${path}.probe`
  do {
    writeFileSync(probe, '')
    await Bun.sleep(1)
  } while (statSync(probe).mtimeMs <= statSync(path).mtimeMs)
  rmSync(probe)
}
