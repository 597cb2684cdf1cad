import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { type Content, makeImage, pushBlob, pushImage, type TestImage } from '../image.ts'
import { describeWith, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { audit, auditDirectory } from './audit.ts'
import { type Injected, inject } from './inject.ts'
import { createLedger } from './ledger.ts'
import { logged } from './logged.ts'
import { strays } from './strays.ts'
import { startUpload } from './upload.ts'

const REPOSITORY = 'errors/app'
const ENV = {
  ...{ REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', REGISTRY_STORAGE_DELETE_ENABLED: 'true' },
}
const TIMEOUT = 180_000
const WRITES = ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2']
const READS = ['read', 'readv', 'pread64', 'preadv', 'preadv2', 'sendfile', 'splice', 'copy_file_range']

describeWith(['strace'], 'a disk that reports errors', () => {
  let berth: Berth
  let data = ''
  let fault: Injected | undefined
  const ledger = createLedger()

  beforeAll(async () => {
    berth = await startBerth({ env: ENV })
    data = berth.dataDirectory
  }, TIMEOUT)
  afterEach(async () => await fault?.remove())
  afterAll(async () => await berth?.dispose())

  const imageOf = (seed: string) => makeImage({ seed, layers: [40_000] })
  const layerOf = (image: TestImage): Content => image.layers[0] ?? image.config
  const fileOf = ({ digest }: Content) => {
    const hex = digest.slice('sha256:'.length)
    return join(data, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
  }
  const get = (path: string) => fetch(`${berth.url}/v2/${REPOSITORY}/${path}`, { keepalive: false })
  const put = (session: string, { bytes, digest }: Content) =>
    fetch(`${berth.url}${session}?digest=${digest}`, { method: 'PUT', body: bytes, keepalive: false })
  const failWith = async (
    calls: readonly string[],
    paths: readonly string[],
    more: { when?: string; seen?: string[] } = {},
  ) => {
    fault = await inject(berth.pid, { calls, paths, error: 'EIO', ...more })
  }
  /** Ends the fault, which must have struck. */
  const heal = async () => {
    const lines = (await fault?.remove()) ?? []
    fault = undefined
    expect(lines.filter((line) => line.includes('(INJECTED)'))).not.toEqual([])
    return lines
  }
  /** The image is pushed as if nothing had been, and everything acknowledged so far is there. */
  const pushes = async (image: TestImage, tag: string) => {
    for (const blob of [image.config, ...image.layers]) {
      const acknowledge = ledger.sendBlob(REPOSITORY, blob)
      await pushBlob(berth.url, REPOSITORY, blob)
      acknowledge()
    }
    const acknowledge = ledger.sendManifest(REPOSITORY, tag, image)
    await pushImage(berth.url, REPOSITORY, image, { tag })
    acknowledge()
    expect(await audit(berth.url, ledger)).toEqual([])
  }

  test.each([
    ['cannot write the bytes of an upload', WRITES, (session: string) => upload(session), 204],
    ['cannot sync the bytes of a blob', ['fsync', 'fdatasync'], (session: string) => upload(session), 404],
    [
      'cannot rename a blob to its place',
      ['rename', 'renameat', 'renameat2'],
      (session: string) => upload(session),
      204,
    ],
    [
      'cannot sync the folder of a blob',
      ['fsync', 'fdatasync'],
      (_: string, blob: Content) => fileOf(blob).slice(0, -5),
      404,
    ],
    ['cannot write the log of the database', WRITES, () => join(data, 'berth.db-wal'), undefined],
    ['cannot sync the log of the database', ['fsync', 'fdatasync'], () => join(data, 'berth.db-wal'), undefined],
  ])(
    'that %s acknowledges nothing, says why, and takes the push once it is well',
    async (name, calls, pathOf, upload) => {
      const image = imageOf(name)
      const blob = layerOf(image)
      const session = await startUpload(berth.url, REPOSITORY)
      await failWith(calls, [pathOf(session, blob)])
      await expectFault(await put(session, blob))
      expect((await get(`blobs/${blob.digest}`)).status).toBe(404)
      // What may have lost bytes is not synced again as if it had not: the client has to begin anew.
      if (upload !== undefined) expect((await fetch(`${berth.url}${session}`)).status).toBe(upload)
      await heal()
      if (upload === 404) expect((await put(session, blob)).status).toBe(404)
      await pushes(image, digestOf(Buffer.from(name)).slice(7, 20))
    },
    TIMEOUT,
  )

  function upload(session: string): string {
    return join(data, 'berth-uploads', session.slice(session.lastIndexOf('/') + 1))
  }

  test(
    'once for the log of the database: nothing more is promised on that log, but on one begun anew',
    async () => {
      const [wal, database] = [join(data, 'berth.db-wal'), join(data, 'berth.db')]
      const image = imageOf('once')
      const session = await startUpload(berth.url, REPOSITORY)
      await failWith(['fsync', 'fdatasync'], [wal, database], { when: '1', seen: [...WRITES, 'ftruncate'] })
      await expectFault(await put(session, layerOf(image)))
      await pushes(image, 'once')
      const lines = await heal()
      const after = lines.slice(lines.findIndex((line) => line.includes('(INJECTED)')) + 1)
      const first = (pattern: RegExp, path: string) =>
        after.findIndex((line) => pattern.test(line) && line.includes(`<${path}>`))
      // What the log has is written to the database and synced, the log is emptied, and only then written to.
      const steps = [first(/write/, database), first(/sync\(/, database), first(/ftruncate/, wal), first(/write/, wal)]
      expect(steps.every((step) => step >= 0)).toBe(true)
      expect(steps).toEqual(steps.toSorted((a, b) => a - b))
    },
    TIMEOUT,
  )

  test(
    'cannot unlink a blob leaves it to the collector, invisible, and a push of it gets another place',
    async () => {
      const image = imageOf('unlinked')
      const [blob, { digest }] = [layerOf(image), image.manifest]
      await pushImage(berth.url, REPOSITORY, image, { tag: 'unlinked' })
      const answer = await fetch(`${berth.url}/v2/${REPOSITORY}/manifests/${digest}`, { method: 'DELETE' })
      expect(answer.status).toBe(202)
      await failWith(['unlink', 'unlinkat'], [fileOf(blob)])
      const { code, stdout } = await run([BERTH, 'gc', 'run', '--now', '--format', 'json', '--data', data], {
        env: ENV,
      })
      expect([code, JSON.parse(stdout)]).toMatchObject([1, { state: 'done', failures: 1, unlinked: { count: 1 } }])
      expect((await get(`blobs/${blob.digest}`)).status).toBe(404)
      await heal()
      await pushes(image, 'unlinked')
      expect(existsSync(fileOf(blob))).toBe(true)
    },
    TIMEOUT,
  )

  test(
    'cannot open a blob, or read it, gives no client half of it for the whole',
    async () => {
      const image = imageOf('read')
      await pushes(image, 'read')
      const blob = layerOf(image)
      for (const calls of [['open', 'openat', 'openat2'], READS]) {
        await failWith(calls, [fileOf(blob)])
        const bytes = await get(`blobs/${blob.digest}`)
          .then(
            async (answer) => (answer.status === 200 ? await answer.bytes() : undefined),
            () => undefined,
          )
          .catch(() => undefined)
        expect(bytes).toBeUndefined()
        await heal()
        expect(await audit(berth.url, ledger)).toEqual([])
      }
    },
    TIMEOUT,
  )

  test(
    'cannot read the database answers 503, and goes on once it is well',
    async () => {
      expect(await berth.stop()).toBe(0)
      const again = await startBerth({ dataDirectory: data, env: ENV })
      try {
        const before = berth
        berth = again
        // Of the uploads whose bytes were lost before: a start removes their rows while it serves, and not on a disk that fails.
        await logged(again, 'what a crash left of uploads is removed')
        await failWith(READS, [join(data, 'berth.db')])
        // SQLite does not tell a page that cannot be read from one that is broken: nothing is written until it is known.
        await expectFault(await get('manifests/read'), 'damaged, or its disk reports errors')
        await expectFault(
          await fetch(`${berth.url}/v2/${REPOSITORY}/blobs/uploads/`, { method: 'POST' }),
          'damaged, or',
        )
        await heal()
        await logged(again, 'the whole database can be read again')
        await pushes(imageOf('well'), 'well')
        expect(await audit(berth.url, ledger)).toEqual([])
        berth = before
        expect(await again.stop()).toBe(0)
        // Of all that failed nothing is left: no file without a row, no row without its file.
        expect([...strays(data), ...auditDirectory(data)]).toEqual([])
      } finally {
        await again.dispose()
      }
    },
    TIMEOUT,
  )
})

async function expectFault(answer: Response, text = 'the disk of the registry reports errors'): Promise<void> {
  expect(await answer.json()).toEqual({
    errors: [{ code: 'UNAVAILABLE', message: expect.stringContaining(text) }],
  })
  expect(answer.status).toBe(503)
}
