import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { makeImage, pushBlob, pushImage } from '../image.ts'
import { must, program, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { audit, auditDirectory } from './audit.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { strays } from './strays.ts'

const REPOSITORY = 'readonly/app'
const ENV = {
  ...{ REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', REGISTRY_STORAGE_DELETE_ENABLED: 'true' },
  ...{ REGISTRY_SPACE_MINFREE: '0', REGISTRY_SPACE_RESERVE: '8MiB' },
}
const TIMEOUT = 180_000
const isPossible = process.getuid?.() === 0 && existsSync('/dev/loop-control')
const remedy = isPossible ? '' : ' [needs root and loop devices]'

/** ext4 does that by itself after an error: no process has closed its files, and none was asked. */
describe.skipIf(!isPossible)(`a file system that becomes read-only under the server${remedy}`, () => {
  let folder = ''
  let mounted = ''
  let device = ''
  let data = ''
  let ledger: Ledger
  const running: Berth[] = []

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-readonly-'))
    mounted = join(folder, 'disk')
    data = join(mounted, 'data')
    ledger = createLedger()
    mkdirSync(mounted)
    writeFileSync(join(folder, 'image'), '')
    truncateSync(join(folder, 'image'), 64 * 1024 * 1024)
    await must([program('mkfs.ext4'), '-q', '-F', join(folder, 'image')])
    await must(['mount', '-o', 'loop,errors=remount-ro', join(folder, 'image'), mounted])
    device = basename((await must(['findmnt', '-n', '-o', 'SOURCE', mounted])).trim())
  })
  afterEach(async () => {
    for (const berth of running.splice(0)) await berth.dispose()
    await run(['umount', mounted])
    rmSync(folder, { recursive: true, force: true })
  })

  const start = async () => {
    const berth = await startBerth({ dataDirectory: data, env: ENV })
    running.push(berth)
    return berth
  }
  const push = async (berth: Berth, seed: string) => {
    const image = makeImage({ seed, layers: [30_000] })
    for (const blob of [image.config, ...image.layers]) {
      const acknowledge = ledger.sendBlob(REPOSITORY, blob)
      await pushBlob(berth.url, REPOSITORY, blob)
      acknowledge()
    }
    const acknowledge = ledger.sendManifest(REPOSITORY, seed, image)
    await pushImage(berth.url, REPOSITORY, image, { tag: seed })
    acknowledge()
    return image
  }

  test(
    'serves pulls, refuses pushes and deletions with the reason, and goes on after a repair and a restart',
    async () => {
      const berth = await start()
      const image = await push(berth, 'before')
      writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, '1')

      const base = `${berth.url}/v2/${REPOSITORY}`
      const headers = { 'Content-Type': image.manifest.mediaType }
      for (const [path, init] of [
        ['blobs/uploads/', { method: 'POST' }],
        [`manifests/${image.manifest.digest}`, { method: 'DELETE' }],
        ['manifests/other', { method: 'PUT', headers, body: image.manifest.bytes }],
      ] as const) {
        const answer = await fetch(`${base}/${path}`, init)
        expect([path, answer.status, await answer.json()]).toEqual([
          path,
          503,
          {
            errors: [
              { code: 'UNAVAILABLE', message: expect.stringMatching(/cannot write to its disk|disk of the registry/) },
            ],
          },
        ])
      }
      expect(await audit(berth.url, ledger)).toEqual([])
      // It ends as it should, too, though it can write nothing any more.
      expect(await berth.stop()).toBe(0)

      // A start on it is refused with the reason, and not with a stack.
      const refused = await run([BERTH, 'serve', '--addr', '127.0.0.1:0', '--data', data], { env: ENV })
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('read-only file system')])

      await must(['umount', mounted])
      await run(['fsck.ext4', '-p', '-f', join(folder, 'image')])
      await must(['mount', '-o', 'loop,errors=remount-ro', join(folder, 'image'), mounted])
      const again = await start()
      expect(await audit(again.url, ledger)).toEqual([])
      await push(again, 'after')
      expect(await audit(again.url, ledger)).toEqual([])
      expect(await again.stop()).toBe(0)
      expect([...strays(data), ...auditDirectory(data)]).toEqual([])
      expect(readdirSync(join(data, 'berth-uploads'))).toEqual([])
    },
    TIMEOUT,
  )
})
