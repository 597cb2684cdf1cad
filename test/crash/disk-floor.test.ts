import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { RESERVE_FILE } from '../../src/files/reserve-file.ts'
import { makeImage, writeLayout } from '../image.ts'
import { describeWith, must, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { audit, auditDirectory } from './audit.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { logged } from './logged.ts'
import { answerIn, connect, head } from './raw-connection.ts'
import { fill, isRoot, mountSmallDisk, push, pushUntilRefused, type SmallDisk } from './small-disk.ts'
import { strays } from './strays.ts'
import { completeUpload, offsetOf, startUpload } from './upload.ts'

const MIB = 1024 * 1024
const FLOOR = 12 * MIB
const RESERVE = 8 * MIB
const REPOSITORY = 'floor/app'
const ENV = {
  ...{ REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', REGISTRY_STORAGE_DELETE_ENABLED: 'true' },
  ...{ REGISTRY_SPACE_MINFREE: '12MiB', REGISTRY_SPACE_RESERVE: '8MiB', REGISTRY_TRASH_MINFREE: '0' },
}
const TIMEOUT = 180_000

describe.skipIf(!isRoot)(`a disk that fills up${isRoot ? '' : ' [needs root, to mount a small tmpfs]'}`, () => {
  let disk: SmallDisk
  let data = ''
  let ledger: Ledger
  const running: Berth[] = []

  beforeEach(async () => {
    disk = await mountSmallDisk('48m')
    data = join(disk.path, 'data')
    ledger = createLedger()
  })
  afterEach(async () => {
    for (const berth of running.splice(0)) await berth.dispose()
    await disk.remove()
  })

  async function start(): Promise<Berth> {
    const berth = await startBerth({ dataDirectory: data, env: ENV })
    running.push(berth)
    return berth
  }
  const free = () => {
    const { bavail, bsize } = statfsSync(disk.path)
    return bavail * bsize
  }
  const filler = (name: string) => join(disk.path, name)
  const reserve = () => join(data, RESERVE_FILE)
  const blobs = () => {
    const root = join(data, 'docker/registry/v2/blobs/sha256')
    return readdirSync(root, { recursive: true }).filter((name) => String(name).endsWith('/data')).length
  }
  const remove = async (url: string, tag: string) => {
    const image = ledger.tags.get(`${REPOSITORY}:${tag}`)?.sent[0]
    return (await fetch(`${url}/v2/${REPOSITORY}/manifests/${image}`, { method: 'DELETE' })).status
  }
  const collect = async () =>
    JSON.parse(await must([BERTH, 'gc', 'run', '--now', '--format', 'json', '--data', data], { env: ENV }))

  test(
    'takes pushes down to its floor, refuses the next with the figures, and takes them again after a deletion and a collection',
    async () => {
      const { url } = await start()
      expect(statSync(reserve()).blocks * 512).toBe(RESERVE)
      const refused = await pushUntilRefused(url, REPOSITORY, ledger)
      await expectRefusal(refused)
      // No body went past it, for their numbers of bytes were told; the database may have a little.
      expect(free()).toBeLessThan(FLOOR + 2 * MIB)
      expect(free()).toBeGreaterThan(FLOOR - MIB)
      expect(await audit(url, ledger)).toEqual([])
      const before = blobs()

      expect([await remove(url, '0'), await remove(url, '1'), await remove(url, '2')]).toEqual([202, 202, 202])
      expect(await collect()).toMatchObject({ state: 'done', failures: 0, unlinked: { count: 9 } })
      expect(blobs()).toBe(before - 9)
      expect(free()).toBeGreaterThan(FLOOR)
      expect(await push(url, REPOSITORY, createLedger(), 'after')).toBeUndefined()
      expect(await running[0]?.stop()).toBe(0)
      expect([...strays(data), ...auditDirectory(data)]).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'refuses a body that would not fit before it comes, and one whose size nobody told in its middle; both can go on later',
    async () => {
      const { url, port } = await start()
      const session = await startUpload(url, REPOSITORY)
      const large = await connect(port)
      await large.send(head('PATCH', session, { 'Content-Length': 40 * MIB }))
      const early = answerIn(await large.until((received) => answerIn(received)?.status === 403))
      expect(early?.body.toString()).toContain('40 MiB are to come')
      large.destroy()

      const [layer] = makeImage({ seed: 'streamed', layers: [1_500_000] }).layers
      if (layer === undefined) throw new Error('an image has a layer')
      const streaming = await connect(port)
      await streaming.send(head('PATCH', session, { 'Transfer-Encoding': 'chunked' }))
      const half = layer.bytes.subarray(0, 500_000)
      await streaming.send(`${half.length.toString(16)}\r\n`)
      await streaming.send(half)
      await streaming.send('\r\n')
      await streaming.taken()
      fill(filler('other'), free() - FLOOR / 2)
      const answer = answerIn(await streaming.until((received) => answerIn(received)?.status === 403))
      expect(answer?.body.toString()).toMatch(
        /"code":"DENIED".* are free and it takes no push that leaves less than 12 MiB/,
      )
      streaming.destroy()
      // What had come is kept.
      expect(await offsetOf(url, session)).toBe(half.length)

      rmSync(filler('other'))
      const acknowledge = ledger.sendBlob(REPOSITORY, layer)
      expect(await completeUpload(url, session, layer)).toBe(half.length)
      acknowledge()
      expect(await audit(url, ledger)).toEqual([])
      expect(readdirSync(join(data, 'berth-uploads'))).toEqual([])
    },
    TIMEOUT,
  )

  describeWith(['skopeo'], 'for a client', () => {
    test(
      'is told with its figures, and not tried again',
      async () => {
        const { port, log } = await start()
        fill(filler('other'), free() - FLOOR / 2)
        const image = makeImage({ seed: 'client', layers: [100] })
        const layout = join(data, '../layout')
        writeLayout(layout, image, 'v1')
        const target = `docker://127.0.0.1:${port}/${REPOSITORY}:v1`
        const { code, stderr } = await run(['skopeo', 'copy', '--dest-tls-verify=false', `oci:${layout}:v1`, target])
        expect(code).not.toBe(0)
        expect(stderr).toMatch(/denied: the disk of the registry is nearly full: [\d.]+ MiB are free/)
        expect(log()).not.toContain('http.response.status=503')
      },
      TIMEOUT,
    )
  })

  test(
    'by others to the last byte still takes deletions and collects, by the reserve, which is back once there is room',
    async () => {
      const berth = await start()
      const { url } = berth
      for (const name of ['0', '1', '2']) expect(await push(url, REPOSITORY, ledger, name)).toBeUndefined()
      fill(filler('other'))
      expect([await remove(url, '0'), await remove(url, '1')]).toEqual([202, 202])
      expect(await collect()).toMatchObject({ state: 'done', failures: 0, unlinked: { count: 6 } })
      expect(blobs()).toBe(3)
      await logged(berth, 'the disk is full: its reserve was given free')
      expect(existsSync(reserve())).toBe(false)
      // Even though the reserve's space is free now: it is not for pushes.
      const refused = await push(url, REPOSITORY, createLedger(), 'refused')
      await expectRefusal(refused, '20 MiB')

      rmSync(filler('other'))
      await logged(berth, 'the reserve is set aside anew')
      expect(statSync(reserve()).blocks * 512).toBe(RESERVE)
      expect(await push(url, REPOSITORY, createLedger(), 'after')).toBeUndefined()
      expect(await berth.stop()).toBe(0)
      expect([...strays(data), ...auditDirectory(data)]).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'while the server is down does not keep it from starting, nor from deleting',
    async () => {
      const first = await start()
      expect(await push(first.url, REPOSITORY, ledger, '0')).toBeUndefined()
      expect(await first.stop()).toBe(0)
      fill(filler('other'))
      const { url } = await start()
      expect(existsSync(reserve())).toBe(false)
      expect(await audit(url, ledger)).toEqual([])
      expect(await remove(url, '0')).toBe(202)
      expect(await collect()).toMatchObject({ state: 'done', failures: 0, unlinked: { count: 3 } })
    },
    TIMEOUT,
  )
})

/** 403 DENIED with the figures, which clients print. */
async function expectRefusal(answer: Response | undefined, least = '12 MiB'): Promise<void> {
  expect(await answer?.json()).toEqual({
    errors: [
      {
        code: 'DENIED',
        message: expect.stringMatching(
          new RegExp(`nearly full: [\\d.]+ [KM]iB are free.* it takes no push that leaves less than ${least};`),
        ),
        detail: expect.objectContaining({ reason: 'disk-space', free: expect.any(Number), least: expect.any(Number) }),
      },
    ],
  })
  expect(answer?.status).toBe(403)
}
