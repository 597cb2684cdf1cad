import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Digest, digestOf, hexOf } from '../src/oci/digest.ts'
import { makeImage, makeIndex, noise, pushBlob, pushImage } from './image.ts'
import { openVerifyRig, type VerifyRig } from './verify-rig.ts'

/** Each fault is made for real, in the files and the database of a registry that serves, or of one that is stopped. */

const image = makeImage({ layers: [60_000, 20_000], seed: 'verify' })
const other = makeImage({ layers: [30_000], seed: 'verified, too' })
const index = makeIndex([image, other])
const layer = image.layers[0]?.digest as Digest
const big = noise(40_000, 'sha512')
const big512 = digestOf(big, 'sha512')

const keyOf = (digest: Digest) => {
  const hex = hexOf(digest)
  return `docker/registry/v2/blobs/${digest.slice(0, 6)}/${hex.slice(0, 2)}/${hex}/data`
}
const DAY = 24 * 3_600_000

interface Fault {
  make: (rig: VerifyRig) => void
  /** Only hashing finds it. */
  deep?: boolean
  /** `kind outcome` of what is found, without and with repairs; the latter `mended` unless told. */
  finds: string
  repairs: string
  /** Tags that the finding names. */
  affects?: string[]
  /** Whether the blob answers afterwards, before anybody pushes: true unless told. */
  isServed?: boolean
  /** Status of the manifest then: 200 unless told. */
  manifest?: number
  /** What is found by who does not hash. */
  shallow?: string
  /** What is still found after the repair, by who hashes. */
  again?: string
  /** What is in the quarantine afterwards. */
  kept?: number
}

const flip = ({ directory }: VerifyRig, digest: Digest) => {
  const path = join(directory, keyOf(digest))
  const fd = openSync(path, 'r+')
  const [byte = 0] = readFileSync(path).subarray(777)
  writeSync(fd, Buffer.from([byte ^ 1]), 0, 1, 777)
  closeSync(fd)
}
const old = (path: string, days = 30) => {
  const time = new Date(Date.now() - days * DAY)
  utimesSync(path, time, time)
}
const manifestId = `(SELECT id FROM manifests WHERE digest = '${image.manifest.digest}')`
/** Found again until it is pushed. */
const KNOWN = { again: 'blob-damaged healing' }
const TAGS = ['team/app:both', 'team/app:v1']

const FAULTS: Record<string, Fault> = {
  'a byte of a blob is flipped': {
    make: (rig) => flip(rig, layer),
    deep: true,
    ...{
      finds: 'blob-digest found',
      repairs: 'blob-digest healing',
      affects: TAGS,
      isServed: false,
      kept: 1,
      ...KNOWN,
    },
  },
  'a byte of a blob with a sha512 digest is flipped': {
    make: (rig) => flip(rig, big512),
    deep: true,
    ...{ finds: 'blob-digest found', repairs: 'blob-digest healing', affects: [], kept: 1, ...KNOWN },
  },
  'a blob is cut short': {
    make: ({ directory }) => truncateSync(join(directory, keyOf(layer)), 59_000),
    ...{ finds: 'blob-size found', repairs: 'blob-size healing', affects: TAGS, isServed: false, kept: 1, ...KNOWN },
  },
  'a blob is deleted': {
    make: ({ directory }) => unlinkSync(join(directory, keyOf(layer))),
    ...{ finds: 'blob-missing found', repairs: 'blob-missing healing', affects: TAGS, isServed: false, ...KNOWN },
  },
  'a blob is deleted, and lies there under another name': {
    make: ({ directory }) => renameSync(join(directory, keyOf(layer)), `${join(directory, keyOf(layer))}.gen`),
    ...{ finds: 'blob-missing found', repairs: 'blob-missing mended', affects: TAGS },
  },
  'the size in the row of a blob is wrong': {
    make: (rig) => rig.damage(`UPDATE blobs SET size = 5 WHERE digest = '${layer}'`),
    ...{ finds: 'blob-size found', repairs: 'blob-size mended', affects: TAGS },
  },
  'a blob is a symbolic link to the same bytes elsewhere': {
    make({ directory }) {
      const path = join(directory, keyOf(layer))
      renameSync(path, join(directory, 'elsewhere'))
      symlinkSync(join(directory, 'elsewhere'), path)
    },
    ...{ finds: 'blob-symlink found', repairs: 'blob-symlink found', affects: TAGS },
    again: 'blob-symlink found',
  },
  'a blob is a symbolic link to other bytes': {
    make({ directory }) {
      const path = join(directory, keyOf(layer))
      const bytes = readFileSync(path)
      unlinkSync(path)
      writeFileSync(join(directory, 'elsewhere'), bytes.reverse())
      symlinkSync(join(directory, 'elsewhere'), path)
    },
    deep: true,
    shallow: 'blob-symlink found',
    ...{
      finds: 'blob-digest found',
      repairs: 'blob-digest healing',
      affects: TAGS,
      isServed: false,
      kept: 1,
      ...KNOWN,
    },
  },
  'a blob is a symbolic link to nothing': {
    make({ directory }) {
      const path = join(directory, keyOf(layer))
      unlinkSync(path)
      symlinkSync(join(directory, 'nowhere'), path)
    },
    ...{
      finds: 'blob-missing found, stranger found',
      repairs: 'blob-missing healing',
      affects: TAGS,
      isServed: false,
      kept: 1,
      ...KNOWN,
    },
  },
  'the row of a blob is deleted, its file is there': {
    make: (rig) => rig.damage(`DELETE FROM blobs WHERE digest = '${layer}'`),
    ...{ finds: 'link-without-blob found', repairs: 'link-without-blob mended', affects: TAGS },
  },
  'the row of a blob is deleted, and its file': {
    make(rig) {
      rig.damage(`DELETE FROM blobs WHERE digest = '${layer}'`)
      unlinkSync(join(rig.directory, keyOf(layer)))
    },
    ...{ finds: 'link-without-blob found', repairs: 'link-without-blob healing', affects: TAGS, isServed: false },
    again: 'link-without-blob found',
  },
  'the link of a blob to its repository is deleted': {
    make: (rig) => rig.damage(`DELETE FROM repository_blobs WHERE digest = '${layer}'`),
    ...{ finds: 'link-missing found, reference-missing healing', repairs: 'link-missing mended', affects: TAGS },
  },
  'what a manifest holds is deleted': {
    make: (rig) => rig.damage(`DELETE FROM manifest_blobs WHERE digest = '${layer}'`),
    ...{ finds: 'hold-missing found, link-unreviewed found', repairs: 'hold-missing mended', affects: TAGS },
  },
  'the references of a manifest are deleted': {
    make: (rig) => rig.damage(`DELETE FROM manifest_references WHERE manifest_id = ${manifestId}`),
    ...{ finds: 'manifest-rows found', repairs: 'manifest-rows mended', affects: TAGS },
  },
  'a manifest has other bytes': {
    make: (rig) =>
      rig.damage(`UPDATE manifests SET bytes = CAST('{"schemaVersion":2}' AS BLOB) WHERE id = ${manifestId}`),
    ...{ finds: 'manifest-damaged found', repairs: 'manifest-damaged healing', affects: TAGS },
    ...{ manifest: 404, again: 'manifest-damaged healing' },
  },
  'a tag points to nothing, and its history tells to what it did': {
    make: (rig) => rig.damage("UPDATE tags SET manifest_id = 4711 WHERE name = 'v1'"),
    ...{ finds: 'tag-without-manifest found', repairs: 'tag-without-manifest mended' },
  },
  'the collector does not know of a manifest that nothing needs': {
    make: (rig) => rig.damage('DELETE FROM manifest_reviews'),
    ...{ finds: 'manifest-unreviewed found', repairs: 'manifest-unreviewed mended' },
  },
  'a file of a blob that no row knows, older than any upload': {
    make({ directory }) {
      const path = join(directory, keyOf(digestOf(Buffer.from('stray'))))
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, 'stray')
      old(path)
    },
    ...{ finds: 'orphan-blob found', repairs: 'orphan-blob mended' },
  },
  'a foreign file among the uploads, older than any upload': {
    make({ directory }) {
      writeFileSync(join(directory, 'berth-uploads/my notes'), 'x')
      old(join(directory, 'berth-uploads/my notes'))
    },
    ...{ finds: 'stranger found', repairs: 'stranger mended', kept: 1 },
  },
  'bytes of an upload that no session has, older than any upload': {
    make({ directory }) {
      writeFileSync(join(directory, 'berth-uploads/abc'), 'x')
      old(join(directory, 'berth-uploads/abc'))
    },
    ...{ finds: 'orphan-upload found', repairs: 'orphan-upload mended' },
  },
  'the bytes of an upload are gone': {
    make({ directory }) {
      for (const name of readdirSync(join(directory, 'berth-uploads'))) rmSync(join(directory, 'berth-uploads', name))
    },
    ...{ finds: 'upload-missing found', repairs: 'upload-missing mended' },
  },
}

describe.each(['that serves', 'that is stopped'])('berth verify on a registry %s', (which) => {
  const serves = which === 'that serves'
  let rig: VerifyRig

  beforeEach(async () => {
    rig = await openVerifyRig()
    await pushImage(rig.url(), 'team/app', image, { tag: 'v1' })
    await pushImage(rig.url(), 'team/app', index, { tag: 'both' })
    await pushImage(rig.url(), 'team/other', makeImage({ layers: [1_000], seed: 'nobody tags it' }))
    await pushBlob(rig.url(), 'team/app', { mediaType: '', digest: big512, bytes: big })
    const begun = await fetch(`${rig.url()}/v2/team/app/blobs/uploads/`, { method: 'POST' })
    await fetch(new URL(begun.headers.get('location') ?? '', rig.url()), { method: 'PATCH', body: 'half of it' })
    if (!serves) await rig.stop()
  })
  afterEach(() => rig.dispose())

  const found = ({ findings }: Awaited<ReturnType<VerifyRig['verify']>>) =>
    findings.map(({ kind, outcome }) => `${kind} ${outcome}`).join(', ')
  const answerOf = async (path: string) => {
    const answer = await fetch(`${rig.url()}/v2/team/app/${path}`)
    return { status: answer.status, digest: digestOf(await answer.bytes()) }
  }
  const kept = () => {
    const folder = join(rig.directory, 'berth-quarantine')
    return existsSync(folder) ? readdirSync(folder).length : 0
  }

  test('finds nothing wrong, and the upload under way is none of its business', async () => {
    const { run, findings } = await rig.verify({ deep: true, repair: true })
    expect(findings).toEqual([])
    expect(run).toMatchObject({ state: 'done', faults: 0, left: 0, notes: 0 })
    expect(run.progress.bytes).toBe(run.progress.totalBytes ?? -1)
  })

  test.each(Object.entries(FAULTS))('%s', async (_, fault) => {
    const { make, deep = false, shallow = deep ? '' : fault.finds, finds, repairs, again = '' } = fault
    const { affects, isServed = true, manifest = 200 } = fault
    make(rig)
    expect(found(await rig.verify({}))).toBe(shallow)
    const looked = await rig.verify({ deep })
    expect(found(looked)).toBe(finds)
    const isFault = looked.run.faults > 0
    const first = looked.findings[0]
    if (affects !== undefined) {
      expect(first?.affected.map(({ repository, tag }) => `${repository}:${tag}`).sort()).toEqual(affects)
    }
    expect(first?.advice).toBeString()
    expect(kept()).toBe(0)

    const repaired = await rig.verify({ deep, repair: true })
    expect(found(repaired)).toBe(repairs)
    expect(repaired.run.left > 0).toBe(isFault && repairs.includes('healing'))
    expect(kept()).toBe(fault.kept ?? 0)
    if (!serves) await rig.start()
    expect((await answerOf(`blobs/${layer}`)).status).toBe(isServed ? 200 : 404)
    const head = await fetch(`${rig.url()}/v2/team/app/blobs/${layer}`, { method: 'HEAD' })
    expect(head.status).toBe(isServed ? 200 : 404)
    expect((await answerOf('manifests/v1')).status).toBe(manifest)
    expect(found(await rig.verify({ deep: true }))).toBe(again)

    await pushImage(rig.url(), 'team/app', image, { tag: 'v1' })
    await pushImage(rig.url(), 'team/app', index, { tag: 'both' })
    await pushBlob(rig.url(), 'team/app', { mediaType: '', digest: big512, bytes: big })
    for (const { digest } of [image.config, ...image.layers, { digest: big512 }]) {
      const { status } = await answerOf(`blobs/${digest}`)
      expect([digest, status]).toEqual([digest, 200])
    }
    expect((await answerOf(`blobs/${layer}`)).digest).toBe(layer)
    expect(await answerOf('manifests/v1')).toEqual({ status: 200, digest: image.manifest.digest })
    const { run } = await rig.verify({ deep: true })
    expect(run).toMatchObject({ state: 'done', faults: 0, left: 0 })
  })

  test('a good copy that an operator puts into the quarantine heals the blob without a push', async () => {
    flip(rig, layer)
    await rig.verify({ deep: true, repair: true })
    writeFileSync(join(rig.directory, `berth-quarantine/sha256-${hexOf(layer)}`), image.layers[0]?.bytes ?? '')
    const { run, findings } = await rig.verify({ repair: true })
    expect(findings).toMatchObject([{ kind: 'blob-damaged', outcome: 'mended' }])
    expect(run.left).toBe(0)
    if (!serves) await rig.start()
    expect(await answerOf(`blobs/${layer}`)).toEqual({ status: 200, digest: layer })
    expect(kept()).toBe(1)
  })

  test('a file that came a moment ago belongs to a push, and stays', async () => {
    const path = join(rig.directory, keyOf(digestOf(Buffer.from('fresh'))))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, 'fresh')
    writeFileSync(join(rig.directory, 'berth-uploads/fresh'), 'fresh')
    expect(found(await rig.verify({ deep: true, repair: true }))).toBe('')
    expect(existsSync(path)).toBe(true)
    expect(existsSync(join(rig.directory, 'berth-uploads/fresh'))).toBe(true)
  })
})
