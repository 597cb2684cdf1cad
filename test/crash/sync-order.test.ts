import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Content, makeImage, pushBlob, type TestImage } from '../image.ts'
import { describeWith } from '../programs.ts'
import { createdAnswers } from './answers.ts'
import { createDisk } from './disk.ts'
import { startTraced } from './start-traced.ts'
import { type Moment, parseTrace } from './trace.ts'

const REPOSITORY = 'library/app'
const TIMEOUT = 180_000

describeWith(['strace'], 'what is acknowledged is on the disk before', () => {
  const image = makeImage({ seed: 'sync-order', layers: [1_500_000] })
  let folder = ''
  let moments: Moment[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-sync-'))
    const server = await startTraced(folder, join(folder, 'made/data'))
    try {
      for (const layer of image.layers) await pushInChunks(server.url, layer)
      await pushBlob(server.url, REPOSITORY, image.config)
      await putManifest(server.url, image)
      moments = parseTrace(await server.stop())
    } finally {
      await server.dispose()
    }
  }, TIMEOUT)

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const data = () => join(folder, 'made/data')
  const paths = [
    ...[...image.layers, image.config].map(({ digest }) => `/v2/${REPOSITORY}/blobs/${digest}`),
    `/v2/${REPOSITORY}/manifests/${image.manifest.digest}`,
  ]

  test('the trace has one 201 for each push, in the order of the pushes', () => {
    expect(createdAnswers(moments).map(({ path }) => path)).toEqual(paths)
  })

  test('the bytes of a blob and every name that leads to it are synced before its 201', () => {
    expect(blobFaults(moments, data())).toEqual([])
  })

  test('a blob is written, synced, renamed, and its directory synced, in this order', () => {
    for (const { at, path } of createdAnswers(moments).filter((answer) => answer.path.includes('/blobs/'))) {
      const target = blobFile(data(), path)
      const before = moments.slice(0, at)
      const rename = before.findLastIndex(({ call }) => call.name.startsWith('rename') && call.text.includes(target))
      const source = /"([^"]+)"/.exec(before[rename]?.call.text ?? '')?.[1] ?? 'none'
      const last = (moment: Moment['moment'], pattern: RegExp, place: string) =>
        before.findLastIndex(
          (one) => one.moment === moment && pattern.test(one.call.name) && one.call.text.includes(`<${place}>`),
        )
      const steps = [
        last('end', /write/, source),
        last('begin', /sync$/, source),
        last('end', /sync$/, source),
        before.findIndex(({ call, moment }) => moment === 'begin' && call === before[rename]?.call),
        rename,
        last('begin', /^fsync$/, target.slice(0, -'/data'.length)),
        last('end', /^fsync$/, target.slice(0, -'/data'.length)),
      ]
      expect(steps).toEqual(steps.toSorted((a, b) => a - b))
      expect(steps.every((step) => step >= 0)).toBe(true)
    }
  })

  test('the database has written and synced before every 201', () => {
    expect(databaseFaults(moments, data())).toEqual([])
  })

  test('a data directory that the server made itself is in its parent for good', () => {
    expect(safety(moments, folder, ({ disk }) => disk.unsafe(data()))).toEqual([])
  })

  test('these tests fail where a sync is missing', () => {
    const without = (pattern: RegExp) =>
      moments.filter(({ call }) => !(/^f(data)?sync$/.test(call.name) && pattern.test(call.text)))
    expect(blobFaults(without(/./), data())).not.toEqual([])
    expect(blobFaults(without(/berth-uploads/), data())).not.toEqual([])
    expect(blobFaults(without(/blobs\/sha256\/..>/), data())).not.toEqual([])
    expect(blobFaults(without(/registry\/v2>/), data())).not.toEqual([])
    expect(databaseFaults(without(/berth\.db-wal>/), data())).not.toEqual([])
  })

  test('these tests fail where a sync comes after the answer', () => {
    const answers = new Set(createdAnswers(moments).map(({ at }) => moments[at]))
    const early = [...moments.filter((one) => answers.has(one)), ...moments.filter((one) => !answers.has(one))]
    expect(blobFaults(early, data())).not.toEqual([])
    expect(databaseFaults(early, data())).not.toEqual([])
  })
})

interface Before {
  disk: ReturnType<typeof createDisk>
  path: string
  /** Since the 201 before this one. */
  since: Moment[]
}

/** What `look` finds at each 201. */
function safety(moments: readonly Moment[], root: string, look: (before: Before) => string[]): string[] {
  const disk = createDisk(root)
  const faults: string[] = []
  let done = 0
  for (const { at, path } of createdAnswers(moments)) {
    const since = moments.slice(done, at)
    for (const moment of since) disk.apply(moment)
    faults.push(...look({ disk, path, since }))
    done = at
  }
  return faults
}

function blobFaults(moments: readonly Moment[], data: string): string[] {
  return safety(moments, data, ({ disk, path }) => (path.includes('/blobs/') ? disk.unsafe(blobFile(data, path)) : []))
}

function databaseFaults(moments: readonly Moment[], data: string): string[] {
  const log = join(data, 'berth.db-wal')
  return safety(moments, data, ({ disk, path, since }) => {
    const wrote = since.some(({ call }) => call.name.includes('write') && call.text.includes(`<${log}>`))
    const faults = [...disk.unsafe(log), ...disk.unsafe(join(data, 'berth.db'))]
    return wrote ? faults : [...faults, `the database wrote nothing for ${path}`]
  })
}

function blobFile(data: string, path: string): string {
  const hex = path.slice(path.lastIndexOf(':') + 1)
  return join(data, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
}

/** OCI Distribution Specification 1.1, "Pushing a blob in chunks". */
async function pushInChunks(url: string, { bytes, digest }: Content): Promise<void> {
  const started = await fetch(`${url}/v2/${REPOSITORY}/blobs/uploads/`, { method: 'POST' })
  const session = started.headers.get('location') ?? ''
  const half = Math.floor(bytes.length / 2)
  for (const [start, end] of [[0, half] as const, [half, bytes.length] as const]) {
    const headers = { 'Content-Range': `${start}-${end - 1}` }
    const answer = await fetch(session, { method: 'PATCH', headers, body: bytes.subarray(start, end) })
    expect(answer.status).toBe(202)
  }
  expect((await fetch(`${session}?digest=${digest}`, { method: 'PUT' })).status).toBe(201)
}

async function putManifest(url: string, { manifest }: TestImage): Promise<void> {
  const headers = { 'Content-Type': manifest.mediaType }
  const target = `${url}/v2/${REPOSITORY}/manifests/latest`
  expect((await fetch(target, { method: 'PUT', headers, body: manifest.bytes })).status).toBe(201)
}
