import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { type Content, makeImage, pushImage } from '../image.ts'
import { must, run, shell } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { auditDirectory } from './audit.ts'
import { logged } from './logged.ts'
import { strays } from './strays.ts'

const REPOSITORY = 'damaged/app'
const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const COPY = 'daily-2026-11-27T030000.000Z.db'
const TIMEOUT = 180_000

describe('a data directory that was damaged', () => {
  let folder = ''
  let data = ''
  const running: Berth[] = []
  const images = ['v1', 'v2'].map((seed) => makeImage({ seed, layers: [20_000] }))
  const [image = makeImage({ seed: 'v1', layers: [] })] = images

  const start = async () => {
    const berth = await startBerth({ dataDirectory: data, env: ENV })
    running.push(berth)
    return berth
  }
  const database = () => join(data, 'berth.db')
  const get = (berth: Berth, path: string) => fetch(`${berth.url}/v2/${REPOSITORY}/${path}`)
  const fileOf = ({ digest }: Content) => {
    const hex = digest.slice('sha256:'.length)
    return join(data, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-damage-'))
    data = join(folder, 'data')
    const berth = await start()
    for (const [index, pushed] of images.entries())
      await pushImage(berth.url, REPOSITORY, pushed, { tag: `v${index + 1}` })
  }, TIMEOUT)
  afterEach(async () => {
    for (const berth of running.splice(0)) await berth.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  /** As the job of each day makes it. */
  function copy(): Buffer {
    mkdirSync(join(data, 'berth-snapshots'), { recursive: true })
    const path = join(data, 'berth-snapshots', COPY)
    using opened = new Database(database())
    opened.run(`VACUUM INTO '${path}'`)
    return readFileSync(path)
  }

  /** Overwrites the page on which a table begins. */
  function breakTable(name: string): void {
    using opened = new Database(database(), { readonly: true })
    const row = opened
      .query<{ rootpage: number }, [string]>('SELECT rootpage FROM sqlite_schema WHERE name = ?')
      .get(name)
    const size = opened.query<{ page_size: number }, []>('PRAGMA page_size').get()?.page_size ?? 0
    overwrite(database(), ((row?.rootpage ?? 0) - 1) * size, size)
  }

  test(
    'in a page of its database answers 503 where it meets it, writes nothing more, and tells the way back, which works',
    async () => {
      expect(await running[0]?.stop()).toBe(0)
      const good = copy()
      const backup = join(folder, 'backup')
      await must([BERTH, 'backup', backup, '--data', data], { env: ENV })
      const kept = readFileSync(join(backup, 'berth-backup.json'), 'utf8')
      breakTable('tags')

      const berth = await start()
      await expectDamage(await get(berth, 'manifests/v1'))
      await expectDamage(await fetch(`${berth.url}/v2/${REPOSITORY}/blobs/uploads/`, { method: 'POST' }))
      // What is still there is still served.
      const layer = await get(berth, `blobs/${image.layers[0]?.digest}`)
      expect(digestOf(await layer.bytes())).toBe(image.layers[0]?.digest ?? 'sha256:none')
      await logged(berth, 'the database is damaged: nothing is written to it any more')

      // What still can be counted is not what there is.
      for (const command of ['gc status', `gc why ${image.layers[0]?.digest}`, 'trash list', 'quota ls']) {
        const told = await run([BERTH, ...command.split(' '), '--data', data], { env: ENV })
        expect([command, told.code, told.stdout]).toEqual([command, 1, ''])
        expect(told.stderr).toMatch(
          /^berth: the database refused a query: .*malformed.* If the disk is well, stop Berth, /,
        )
      }

      // Neither a backup nor a copy of the damaged database takes the place of a good one.
      const again = await run([BERTH, 'backup', backup, '--data', data], { env: ENV })
      expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/damaged|malformed/)])
      expect(readFileSync(join(backup, 'berth-backup.json'), 'utf8')).toBe(kept)
      expect(readdirSync(join(data, 'berth-snapshots'))).toEqual([COPY])
      expect(readFileSync(join(data, 'berth-snapshots', COPY)).equals(good)).toBe(true)

      const commands = /start it again: (cd .* berth\.db)/.exec(berth.log())?.[1] ?? ''
      expect(commands).toContain(`cp -p berth-snapshots/${COPY} berth.db`)
      await berth.stop()
      expect(await shell(commands)).toMatchObject({ code: 0 })
      const restored = await start()
      for (const [index, one] of images.entries()) {
        const answer = await get(restored, `manifests/v${index + 1}`)
        expect(digestOf(await answer.bytes())).toBe(one.manifest.digest)
      }
      await pushImage(restored.url, REPOSITORY, makeImage({ seed: 'v3', layers: [100] }), { tag: 'v3' })
      expect(await restored.stop()).toBe(0)
      expect(auditDirectory(data)).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'in the first page of its database is refused at the start, with the way back, and left as it is',
    async () => {
      expect(await running[0]?.stop()).toBe(0)
      copy()
      overwrite(database(), 0, 4096)
      const broken = readFileSync(database())
      const { code, stdout, stderr } = await run([BERTH, 'serve', '--addr', '127.0.0.1:0', '--data', data], {
        env: ENV,
      })
      expect([code, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(
        /^berth: cannot open the database \S+berth\.db: .* The database is damaged, and left as it is\./,
      )
      expect(stderr).toContain(`mv berth.db* broken/ && cp -p berth-snapshots/${COPY} berth.db`)
      expect(readFileSync(database()).equals(broken)).toBe(true)
    },
    TIMEOUT,
  )

  test(
    "in the database's log keeps what came before, whole, and nothing by half of what came after",
    async () => {
      const berth = running[0]
      await berth?.kill()
      const log = `${database()}-wal`
      // In the middle of a page.
      overwrite(log, Math.floor(statSync(log).size / 2) & ~3, 64)
      const again = await start()
      const tags: string[] = []
      for (const [index, one] of images.entries()) {
        const answer = await get(again, `manifests/v${index + 1}`)
        if (answer.status === 404) continue
        expect(digestOf(await answer.bytes())).toBe(one.manifest.digest)
        tags.push(`v${index + 1}`)
        for (const blob of [one.config, ...one.layers]) {
          expect(digestOf(await (await get(again, `blobs/${blob.digest}`)).bytes())).toBe(blob.digest)
        }
      }
      // The damage was in what the second push wrote, or before it.
      expect(tags).not.toContain('v2')
      // Pushed again, they are there: what the lost rows named is used anew.
      for (const [index, one] of images.entries()) await pushImage(again.url, REPOSITORY, one, { tag: `v${index + 1}` })
      expect(await again.stop()).toBe(0)
      expect([...strays(data), ...auditDirectory(data)]).toEqual([])
    },
    TIMEOUT,
  )

  test.each([
    ['by the loss of a blob', (path: string) => rmSync(path)],
    ['by a blob that was cut short', (path: string) => truncateSync(path, 100)],
    ['by a blob that grew', (path: string) => overwrite(path, statSync(path).size, 10)],
  ])(
    '%s answers 404 for it, so that the next push brings it back',
    async (_, harm) => {
      const [berth] = running
      if (berth === undefined) throw new Error('there is a server')
      const blob = image.layers[0] ?? image.config
      harm(fileOf(blob))
      expect((await get(berth, `blobs/${blob.digest}`)).status).toBe(404)
      const looked = await fetch(`${berth.url}/v2/${REPOSITORY}/blobs/${blob.digest}`, { method: 'HEAD' })
      expect(looked.status).toBe(404)
      expect((await get(berth, `blobs/${image.config.digest}`)).status).toBe(200)
      await pushImage(berth.url, REPOSITORY, image, { tag: 'v1' })
      const healed = await get(berth, `blobs/${blob.digest}`)
      expect(digestOf(await healed.bytes())).toBe(blob.digest)
      expect(await berth.stop()).toBe(0)
      // What was there under the old name, the collector takes.
      expect(auditDirectory(data)).toEqual([])
    },
    TIMEOUT,
  )
})

function overwrite(path: string, position: number, length: number): void {
  const file = openSync(path, 'r+')
  try {
    writeSync(file, Buffer.alloc(length, 0xa5), 0, length, position)
  } finally {
    closeSync(file)
  }
}

async function expectDamage(answer: Response): Promise<void> {
  expect(await answer.json()).toEqual({
    errors: [{ code: 'UNAVAILABLE', message: expect.stringContaining('the database of the registry is damaged') }],
  })
  expect(answer.status).toBe(503)
}
