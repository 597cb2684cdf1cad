import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { type Content, content, descriptorOf, json, noise, pushBlob } from '../image.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { logged } from './logged.ts'
import { createRandom, seedOf } from './random.ts'

/**
 * The program itself, killed in the middle of changes of whole repositories. A deletion goes on at the next start by itself; after a
 * rename everything is under one of the two names.
 */
const OLD = 'crash/old'
const NEW = 'crash/new'
/** So many that the deletion takes a second or so. */
const IMAGES = 500
/** Deletions that may end before the kill comes. */
const TRIES = 30
const AT_ONCE = 25
const ENDED = 'a deletion of a repository that was left in its middle has ended'
/** Renames that are killed, at random moments of the few milliseconds that they take. */
const RENAMES = 6
const LONGEST_RENAME = 30
/** Milliseconds; only to end a test that hangs. */
const TIMEOUT = 300_000
const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }

const layer: Content = content('application/octet-stream', noise(5000, 'layer'))
const imageOf = (tag: string): Content =>
  json(MEDIA_TYPES.ociManifest, {
    ...{ schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config: descriptorOf(layer), layers: [] },
    annotations: { tag },
  })
const TAGS = Array.from({ length: IMAGES }, (_, index) => `t${index}`)

describe('a repository whose server is killed', () => {
  let folder: string
  let berth: Berth | undefined

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-repositories-'))
  })
  afterEach(async () => {
    await berth?.dispose()
    berth = undefined
    rmSync(folder, { recursive: true, force: true })
  })

  /** The next server on the same data. */
  async function start(): Promise<Berth> {
    await berth?.dispose()
    berth = await startBerth({ env: ENV, dataDirectory: join(folder, 'data') })
    return berth
  }

  function ask({ dataDirectory }: Berth, method: string, path: string, body?: unknown): Promise<Response> {
    const sent =
      body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    return fetch(`http://berth/api/v1${path}`, { unix: join(dataDirectory, 'berth.sock'), method, ...sent })
  }
  const pathOf = (name: string) => `/repositories/${encodeURIComponent(name)}`

  async function put({ url }: Berth, tag: string, repository = OLD): Promise<number> {
    const { mediaType, bytes } = imageOf(tag)
    const headers = { 'Content-Type': mediaType }
    return (await fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'PUT', headers, body: bytes })).status
  }

  async function push(server: Berth, tags: readonly string[]): Promise<void> {
    await pushBlob(server.url, OLD, layer)
    for (let first = 0; first < tags.length; first += AT_ONCE) {
      const some = tags.slice(first, first + AT_ONCE)
      expect(await Promise.all(some.map((tag) => put(server, tag)))).toEqual(some.map(() => 201))
    }
  }

  async function tagsOf({ url }: Berth, repository: string): Promise<string[] | undefined> {
    const answer = await fetch(`${url}/v2/${repository}/tags/list?n=1000`)
    return answer.status === 404 ? undefined : ((await answer.json()) as { tags: string[] }).tags
  }

  /** Each tag pulls with what it needs. */
  async function expectWhole({ url }: Berth, repository: string, tags: readonly string[]): Promise<void> {
    for (const tag of tags) {
      const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`)
      const isSame = Buffer.compare(await answer.bytes(), imageOf(tag).bytes) === 0
      expect([tag, answer.status, isSame]).toEqual([tag, 200, true])
    }
    const blob = await fetch(`${url}/v2/${repository}/blobs/${layer.digest}`)
    expect(Buffer.compare(await blob.bytes(), layer.bytes)).toBe(0)
  }

  async function trashOf(server: Berth): Promise<{ tags: string[]; batch: string }[]> {
    const answer = await ask(server, 'GET', `/trash?repository=${encodeURIComponent(OLD)}&limit=1000`)
    return ((await answer.json()) as { manifests: { tags: string[]; batch: string }[] }).manifests
  }

  /** Begins the deletion and kills the server as soon as some of the tags are gone; false: all of them were. */
  async function killInTheMiddle(server: Berth, meanwhile: () => Promise<void>): Promise<boolean> {
    let isOver = false
    const deletion = ask(server, 'DELETE', pathOf(OLD)).then(
      () => true,
      () => false,
    )
    void deletion.then(() => {
      isOver = true
    })
    for (let left = IMAGES; left >= IMAGES && !isOver; ) left = (await tagsOf(server, OLD))?.length ?? 0
    await meanwhile()
    await server.kill()
    return !(await deletion) && isLeftInItsMiddle(server)
  }

  /** The kill may have come between the last of it and its answer. */
  function isLeftInItsMiddle({ dataDirectory }: Berth): boolean {
    using database = new Database(join(dataDirectory, 'berth.db'), { readonly: true })
    return database.query("SELECT 1 FROM repository_deletions WHERE state = 'running'").get() !== null
  }

  test.each<[string, readonly string[]]>([
    ['and all of it can be restored', []],
    ['and what was pushed since its beginning stays', ['late']],
  ])(
    'in the middle of its deletion: that goes on at the next start, as one deletion, %s',
    async (_, late) => {
      let server = await start()
      let wasKilled = false
      for (let attempt = 0; attempt < TRIES && !wasKilled; attempt++) {
        await push(server, TAGS)
        wasKilled = await killInTheMiddle(server, async () => {
          for (const tag of late) expect(await put(server, tag)).toBe(201)
        })
        if (!wasKilled) server = await start()
      }
      expect(wasKilled).toBe(true)

      const next = await start()
      await logged(next, ENDED)
      expect(await tagsOf(next, OLD)).toEqual(late.length > 0 ? [...late] : undefined)
      if (late.length > 0) await expectWhole(next, OLD, late)
      const batch = (await trashOf(next))[0]?.batch
      const buried = (await trashOf(next)).filter((row) => row.batch === batch)
      // One that was pushed before an earlier attempt may be among them.
      const names = buried.flatMap(({ tags }) => tags).filter((tag) => !late.includes(tag))
      expect(names.sort()).toEqual([...TAGS].sort())
      const restored = await ask(next, 'POST', '/trash/restore', { repository: OLD, batch })
      expect(restored.status).toBe(200)
      expect(await tagsOf(next, OLD)).toEqual([...TAGS, ...late].sort())
      await expectWhole(next, OLD, [...TAGS, ...late])
    },
    TIMEOUT,
  )

  test(
    `while it gets another name: all of it is under one of the two, in ${RENAMES} kills`,
    async () => {
      const random = createRandom(seedOf('renames and kills'))
      const tags = TAGS.slice(0, 30)
      let server = await start()
      await push(server, tags)
      let [name, other] = [OLD, NEW]
      for (let kill = 0; kill < RENAMES; kill++) {
        const renaming = ask(server, 'POST', `${pathOf(name)}/rename`, { to: other }).then(
          ({ status }) => status,
          () => undefined,
        )
        await Bun.sleep(random.below(LONGEST_RENAME))
        await server.kill()
        const answer = await renaming
        server = await start()
        const found = await Promise.all([tagsOf(server, name), tagsOf(server, other)])
        expect(found.filter((list) => list !== undefined)).toEqual([tags.toSorted()])
        const isRenamed = found[0] === undefined
        // What was acknowledged has happened.
        if (answer === 204) expect(isRenamed).toBe(true)
        if (isRenamed) [name, other] = [other, name]
        await expectWhole(server, name, tags)
      }
      expect((await ask(server, 'POST', `${pathOf(name)}/rename`, { to: other })).status).toBe(204)
      await expectWhole(server, other, tags)
    },
    TIMEOUT,
  )
})
