import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeImage } from '../image.ts'
import { run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { audit, auditDirectory } from './audit.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { fill, isRoot, mountSmallDisk, push, pushUntilRefused, putManifest, type SmallDisk } from './small-disk.ts'
import { completeUpload, offsetOf, startUpload } from './upload.ts'

const DISK = '24m'
const FILLER_BYTES = 6 * 1024 * 1024
const REPOSITORY = 'full/app'
/** Without a floor and a reserve, so that it is the disk that says no. */
const ENV = {
  ...{ REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', REGISTRY_STORAGE_DELETE_ENABLED: 'true' },
  ...{ REGISTRY_SPACE_MINFREE: '0', REGISTRY_SPACE_RESERVE: '0' },
}
const TIMEOUT = 180_000

describe.skipIf(!isRoot)(`a full disk${isRoot ? '' : ' [needs root, to mount a small tmpfs]'}`, () => {
  let disk: SmallDisk
  let dataDirectory = ''
  let ledger: Ledger
  let berth: Berth | undefined
  const filler = (name: string) => join(disk.path, name)

  beforeEach(async () => {
    disk = await mountSmallDisk(DISK)
    dataDirectory = join(disk.path, 'data')
    ledger = createLedger()
  })

  afterEach(async () => {
    await berth?.dispose()
    berth = undefined
    await disk.remove()
  })

  test(
    'refuses a push with its reason, loses nothing, serves pulls, and takes pushes again once there is room',
    async () => {
      const server = await startBerth({ dataDirectory, env: ENV })
      berth = server
      fill(filler('room'), FILLER_BYTES)
      await expectNoSpace(await pushUntilRefused(server.url, REPOSITORY, ledger))
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
      await expectNoSpace(await putManifest(server.url, REPOSITORY, tagged, 'another-tag'))
      const target = `${server.url}/v2/${REPOSITORY}/manifests/${tagged.manifest.digest}`
      await expectNoSpace(await fetch(target, { method: 'DELETE' }))
      expect(await audit(server.url, ledger)).toEqual([])

      rmSync(filler('room'))
      expect(await push(server.url, REPOSITORY, ledger, 'after')).toBeUndefined()
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

  test(
    'that has no byte left is what a start names, and not a disk that fails',
    async () => {
      const first = await startBerth({ dataDirectory, env: ENV })
      expect(await first.stop()).toBe(0)
      await first.dispose()
      fill(filler('all'))
      const ended = await run([BERTH, 'serve', '--addr', '127.0.0.1:0', '--data', dataDirectory], { env: ENV })
      expect([ended.code, ended.stdout]).toEqual([1, ''])
      expect(ended.stderr).toEndWith(`. The disk of ${dataDirectory} is full: make room on it, and start again\n`)
      rmSync(filler('all'))
      berth = await startBerth({ dataDirectory, env: ENV })
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
        await expectNoSpace(await pushUntilRefused(first.url, REPOSITORY, ledger))
        fill(filler('rest'))
        if (ending === 'SIGTERM') expect(await first.stop()).toBe(0)
        else await first.kill()
        await first.dispose()
        fill(filler('more'))

        const second = await startBerth({ dataDirectory, env: ENV })
        berth = second
        expect(await audit(second.url, ledger)).toEqual([])
        for (const name of ['room', 'rest', 'more']) rmSync(filler(name))
        expect(await push(second.url, REPOSITORY, ledger, 'after')).toBeUndefined()
        expect(await audit(second.url, ledger)).toEqual([])
      },
      TIMEOUT,
    )
  }
})

async function expectNoSpace(answer: Response): Promise<void> {
  expect(await answer.json()).toEqual({
    errors: [{ code: 'UNAVAILABLE', message: expect.stringContaining('no space left on its disk') }],
  })
  expect(answer.status).toBe(503)
  expect(answer.headers.get('content-type')).toStartWith('application/json')
}
