import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage, type TestImage } from '../image.ts'
import { must, run } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { audit, auditDirectory } from './audit.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { completeUpload, offsetOf, startUpload } from './upload.ts'

const DISK = '24m'
const FILLER_BYTES = 6 * 1024 * 1024
const LAYER_BYTES = 1_200_000
const MOST_PUSHES = 40
const REPOSITORY = 'full/app'
const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', REGISTRY_STORAGE_DELETE_ENABLED: 'true' }
const TIMEOUT = 60_000

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)(`a full disk${isRoot ? '' : ' [needs root, to mount a small tmpfs]'}`, () => {
  let folder = ''
  let dataDirectory = ''
  let ledger: Ledger
  let berth: Berth | undefined
  const filler = (name: string) => join(folder, 'disk', name)

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-full-'))
    mkdirSync(join(folder, 'disk'))
    await must(['mount', '-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', join(folder, 'disk')])
    dataDirectory = join(folder, 'disk/data')
    ledger = createLedger()
  })

  afterEach(async () => {
    await berth?.dispose()
    berth = undefined
    await run(['umount', join(folder, 'disk')])
    rmSync(folder, { recursive: true, force: true })
  })

  test(
    'refuses a push with its reason, loses nothing, serves pulls, and takes pushes again once there is room',
    async () => {
      const server = await startBerth({ dataDirectory, env: ENV })
      berth = server
      fill(filler('room'), FILLER_BYTES)
      await expectNoSpace(await pushUntilRefused(server.url, ledger))
      expect(await audit(server.url, ledger)).toEqual([])

      fill(filler('rest'))
      const tagged = [...ledger.manifests.values()].find(({ acknowledged }) => acknowledged)?.image
      if (tagged === undefined) throw new Error('nothing was pushed before the disk was full')
      const uploads = () => readdirSync(join(dataDirectory, 'berth-uploads')).length
      const before = uploads()
      for (let attempt = 0; attempt < 10; attempt++) {
        await expectNoSpace(await fetch(`${server.url}/v2/${REPOSITORY}/blobs/uploads/`, { method: 'POST' }))
      }
      expect(uploads()).toBe(before)
      await expectNoSpace(await putManifest(server.url, tagged, 'another-tag'))
      const target = `${server.url}/v2/${REPOSITORY}/manifests/${tagged.manifest.digest}`
      await expectNoSpace(await fetch(target, { method: 'DELETE' }))
      expect(await audit(server.url, ledger)).toEqual([])

      rmSync(filler('room'))
      expect(await push(server.url, ledger, 'after')).toBeUndefined()
      expect(await audit(server.url, ledger)).toEqual([])
      expect(await server.stop()).toBe(0)
      expect(auditDirectory(dataDirectory)).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'in the middle of an upload leaves what was acknowledged of it, and it can be finished once there is room',
    async () => {
      const server = await startBerth({ dataDirectory, env: ENV })
      berth = server
      const [layer] = makeImage({ seed: 'resumed', layers: [3_000_000] }).layers
      if (layer === undefined) throw new Error('an image has a layer')
      const session = await startUpload(server.url, REPOSITORY)
      const patch = (start: number, end: number) =>
        fetch(`${server.url}${session}`, {
          method: 'PATCH',
          headers: { 'Content-Range': `${start}-${end - 1}` },
          body: layer.bytes.subarray(start, end),
        })
      expect((await patch(0, 500_000)).status).toBe(202)
      fill(filler('room'))
      await expectNoSpace(await patch(500_000, layer.bytes.length))
      expect(await offsetOf(server.url, session)).toBe(500_000)
      rmSync(filler('room'))
      const acknowledge = ledger.sendBlob(REPOSITORY, layer)
      expect(await completeUpload(server.url, session, layer)).toBe(500_000)
      acknowledge()
      expect(await audit(server.url, ledger)).toEqual([])
    },
    TIMEOUT,
  )

  for (const ending of ['kill -9', 'SIGTERM'] as const) {
    test(
      `does not keep a server from starting after ${ending}: pulls go on, and pushes once there is room`,
      async () => {
        const first = await startBerth({ dataDirectory, env: ENV })
        berth = first
        fill(filler('room'), FILLER_BYTES)
        await expectNoSpace(await pushUntilRefused(first.url, ledger))
        fill(filler('rest'))
        if (ending === 'SIGTERM') expect(await first.stop()).toBe(0)
        else await first.kill()
        await first.dispose()
        fill(filler('more'))

        const second = await startBerth({ dataDirectory, env: ENV })
        berth = second
        expect(await audit(second.url, ledger)).toEqual([])
        for (const name of ['room', 'rest', 'more']) rmSync(filler(name))
        expect(await push(second.url, ledger, 'after')).toBeUndefined()
        expect(await audit(second.url, ledger)).toEqual([])
      },
      TIMEOUT,
    )
  }
})

/** Takes `size` bytes of the disk, or all that is left. */
function fill(path: string, size = Number.POSITIVE_INFINITY): void {
  const block = Buffer.alloc(4096)
  const file = openSync(path, 'w')
  try {
    for (let written = 0; written < size; written += block.length) writeSync(file, block)
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOSPC') throw error
    expect(statfsSync(path).bavail).toBe(0)
  } finally {
    closeSync(file)
  }
}

async function pushUntilRefused(url: string, ledger: Ledger): Promise<Response> {
  for (let count = 0; count < MOST_PUSHES; count++) {
    const refused = await push(url, ledger, String(count))
    if (refused !== undefined) return refused
  }
  throw new Error('the disk does not fill up')
}

/** Pushes an image; answers the first answer that does not take it. */
async function push(url: string, ledger: Ledger, name: string): Promise<Response | undefined> {
  const image = makeImage({ seed: name, layers: [LAYER_BYTES, 100] })
  for (const blob of [image.config, ...image.layers]) {
    const started = await fetch(`${url}/v2/${REPOSITORY}/blobs/uploads/`, { method: 'POST' })
    if (started.status !== 202) return started
    const acknowledge = ledger.sendBlob(REPOSITORY, blob)
    const session = started.headers.get('location')
    const answer = await fetch(`${session}?digest=${blob.digest}`, { method: 'PUT', body: blob.bytes })
    if (answer.status !== 201) return answer
    acknowledge()
  }
  const acknowledge = ledger.sendManifest(REPOSITORY, name, image)
  const answer = await putManifest(url, image, name)
  if (answer.status !== 201) return answer
  acknowledge()
  return undefined
}

function putManifest(url: string, { manifest }: TestImage, tag: string): Promise<Response> {
  const headers = { 'Content-Type': manifest.mediaType }
  return fetch(`${url}/v2/${REPOSITORY}/manifests/${tag}`, { method: 'PUT', headers, body: manifest.bytes })
}

async function expectNoSpace(answer: Response): Promise<void> {
  expect(await answer.json()).toEqual({
    errors: [{ code: 'UNAVAILABLE', message: expect.stringContaining('no space left on its disk') }],
  })
  expect(answer.status).toBe(503)
  expect(answer.headers.get('content-type')).toStartWith('application/json')
}
