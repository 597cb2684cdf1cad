import { Database } from 'bun:sqlite'
import { afterAll, expect, test } from 'bun:test'
import { readdirSync, rmSync, utimesSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Digest, digestOf, hexOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { type Content, descriptorOf, noise, pushBlob } from '../image.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { startRegistry } from '../start-registry.ts'
import { createRandom, seedOf } from './random.ts'

/**
 * The program itself, killed in the middle of collections that run all the time beside pushes, retags, deletions and other names, also of whole
 * repositories. After each kill every tag pulls completely; in the end the disk holds what tags need, and nothing else.
 */
const KILLS = 20
/** What clients do at the least before each. */
const LEAST = 5
/** Turns of a client in which all that the test must have seen has happened. */
const MOST_TURNS = 1000
const TIMEOUT = 600_000
const REPOSITORIES = ['crash/a', 'crash/b', 'crash/c']
/** One more, which nobody pushes to before a repository has that name. */
const PLACES = [...REPOSITORIES, 'crash/moved']
const TAGS = ['v1', 'v2', 'latest']

/** Short enough for garbage to come and go between two kills, and longer than a push takes. */
const env = {
  REGISTRY_AUTH: 'none',
  REGISTRY_LOG_ACCESSLOG_DISABLED: 'true',
  REGISTRY_GC_DELAY: '2s',
  REGISTRY_GC_UNTAGGED: '1s',
  REGISTRY_GC_INTERVAL: '100ms',
  REGISTRY_TRASH_WINDOW: '1s',
  REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE: '3s',
  REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL: '1s',
}

const random = createRandom(seedOf('collections and kills'))
const { pick } = random
const octets = 'application/octet-stream'
const content = (bytes: Uint8Array<ArrayBuffer>, mediaType = octets): Content => ({
  mediaType,
  bytes,
  digest: digestOf(bytes),
})
const layers = Array.from({ length: 6 }, (_, index) => content(noise(20_000 + index * 7_000, `layer ${index}`)))

interface Image {
  manifest: Content
  blobs: Content[]
}

/** Two of the layers that all images share, and a config of its own. */
function makeImage(index: number): Image {
  const config = content(new TextEncoder().encode(JSON.stringify({ index })), octets)
  const mine = [layers[index % layers.length], layers[(index * 5 + 2) % layers.length]].flatMap((layer) => layer ?? [])
  const text = JSON.stringify({
    ...{ schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config: descriptorOf(config) },
    layers: mine.map(descriptorOf),
  })
  return { manifest: content(new TextEncoder().encode(text), MEDIA_TYPES.ociManifest), blobs: [config, ...mine] }
}

const images = Array.from({ length: 12 }, (_, index) => makeImage(index))
const imageOf = new Map(images.map((image) => [image.manifest.digest, image]))

const folder = await mkdtemp(join(tmpdir(), 'berth-collect-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** As a client pushes: what is there already is not sent. Resolves to whether the manifest was acknowledged. */
async function push(berth: Berth, repository: string, image: Image, tag: string): Promise<boolean> {
  for (const blob of image.blobs) {
    const head = await fetch(`${berth.url}/v2/${repository}/blobs/${blob.digest}`, { method: 'HEAD' })
    if (head.status !== 200) await pushBlob(berth.url, repository, blob)
  }
  const answer = await fetch(`${berth.url}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'Content-Type': image.manifest.mediaType },
    body: image.manifest.bytes,
  })
  return answer.status === 201
}

async function disturb(berth: Berth): Promise<void> {
  const roll = random.below(100)
  if (roll >= 86) return await disturbRepository(berth, roll >= 94)
  const repository = pick(REPOSITORIES)
  const reference = roll < 20 ? pick(TAGS) : roll < 45 ? pick(images).manifest.digest : undefined
  if (reference !== undefined) await fetch(`${berth.url}/v2/${repository}/manifests/${reference}`, { method: 'DELETE' })
  else await push(berth, repository, pick(images), pick(TAGS))
}

/** Deletes one, or gives it another name, which may be refused: it is taken, or being deleted. */
async function disturbRepository({ dataDirectory }: Berth, isDeletion: boolean): Promise<void> {
  const path = `http://berth/api/v1/repositories/${encodeURIComponent(pick(PLACES))}`
  const unix = join(dataDirectory, 'berth.sock')
  const headers = { 'content-type': 'application/json' }
  const { status } = isDeletion
    ? await fetch(path, { unix, method: 'DELETE' })
    : await fetch(`${path}/rename`, { unix, method: 'POST', headers, body: JSON.stringify({ to: pick(PLACES) }) })
  changes.set(status, (changes.get(status) ?? 0) + 1)
}

/** How often changes of whole repositories were answered so. */
const changes = new Map<number, number>()

async function tagsOf(berth: Berth, repository: string): Promise<string[]> {
  const list = await fetch(`${berth.url}/v2/${repository}/tags/list`)
  return list.status === 404 ? [] : ((await list.json()) as { tags: string[] }).tags
}

/** Every tag, with all that it needs, byte by byte. Resolves to the digests of the blobs. */
async function pullAll(berth: Berth): Promise<Set<Digest>> {
  const needed = new Set<Digest>()
  for (const repository of PLACES) {
    for (const tag of await tagsOf(berth, repository)) {
      const isListed = async () => (await tagsOf(berth, repository)).includes(tag)
      const answer = await fetch(`${berth.url}/v2/${repository}/manifests/${tag}`)
      const image = imageOf.get(digestOf(new Uint8Array(await answer.arrayBuffer())))
      // A deletion of the repository that the kill cut off goes on meanwhile.
      if (answer.status === 404 && !(await isListed())) continue
      if (image === undefined) throw new Error(`${repository}:${tag} is no image that was pushed: ${answer.status}`)
      for (const { digest } of image.blobs) {
        const blob = await fetch(`${berth.url}/v2/${repository}/blobs/${digest}`)
        if (blob.status === 404 && !(await isListed())) continue
        expect([repository, tag, blob.status, digestOf(new Uint8Array(await blob.arrayBuffer()))]).toEqual([
          ...[repository, tag, 200, digest],
        ])
        needed.add(digest)
      }
    }
  }
  return needed
}

interface Status {
  queue: { links: number; manifests: number; failing: number }
  trash: { count: number }
  discarded: { count: number }
  uploads: { count: number }
  collected: { blob: { count: number }; manifest: { count: number } }
}

async function statusOf(berth: Berth): Promise<Status> {
  const answer = await fetch('http://berth/api/v1/gc', { unix: join(berth.dataDirectory, 'berth.sock') })
  return (await answer.json()) as Status
}

function isDeleting(): boolean {
  using database = new Database(join(folder, 'berth.db'), { readonly: true })
  return database.query("SELECT 1 FROM repository_deletions WHERE state = 'running'").get() !== null
}

const filesBelow = (path: string) =>
  readdirSync(join(folder, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

test(
  `${KILLS} kills of the server in the middle of collections lose nothing that a tag needs, and leave nothing else`,
  async () => {
    let done = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const berth = await startBerth({ env, dataDirectory: folder })
      try {
        await pullAll(berth)
        let isRunning = true
        const client = async () => {
          // What a kill or the collector interrupts, a client begins again.
          while (isRunning)
            await disturb(berth).then(
              () => done++,
              () => Bun.sleep(5),
            )
        }
        const before = done
        const clients = Array.from({ length: 4 }, client)
        await Bun.sleep(300 + random.below(900))
        // A machine that is busy gives each server longer.
        for (let turn = 0; turn < MOST_TURNS && done - before <= LEAST; turn++) await Bun.sleep(20)
        await berth.kill()
        isRunning = false
        await Promise.all(clients)
      } finally {
        await berth.dispose()
      }
    }
    expect(done).toBeGreaterThan(KILLS * LEAST)
    expect([...changes.keys()].filter((status) => ![200, 204, 404, 409].includes(status))).toEqual([])

    const berth = await startBerth({ env, dataDirectory: folder })
    try {
      // What luck and the kills have not brought about comes now. A deletion of a repository, or another name, is done, and all that
      // the collector takes has been seen to be taken.
      const isChanged = () => (changes.get(200) ?? 0) + (changes.get(204) ?? 0) > 0
      const hasCollected = async () => {
        const { blob, manifest } = (await statusOf(berth)).collected
        return blob.count > 0 && manifest.count > KILLS / 2
      }
      for (let turn = 0; turn < MOST_TURNS && !(isChanged() && (await hasCollected())); turn++) {
        await disturb(berth).catch(() => {})
        // The collector has its turns between two pushes.
        await Bun.sleep(50)
      }
      expect(isChanged()).toBe(true)
      // A deletion of a repository that the last kill cut short goes on first.
      for (let turn = 0; turn < MOST_TURNS && isDeleting(); turn++) await Bun.sleep(100)
      expect(isDeleting()).toBe(false)
      const needed = await pullAll(berth)
      let status = await statusOf(berth)
      const isBusy = ({ queue, trash, discarded, uploads }: Status) =>
        queue.links + queue.manifests + trash.count + discarded.count + uploads.count > 0
      for (let turn = 0; turn < MOST_TURNS && isBusy(status); turn++) {
        await Bun.sleep(200)
        status = await statusOf(berth)
      }
      expect({ ...status.queue, trash: status.trash.count, discarded: status.discarded.count }).toEqual({
        ...{ links: 0, manifests: 0, failing: 0, trash: 0, discarded: 0 },
      })
      expect(status.collected.blob.count).toBeGreaterThan(0)
      expect(status.collected.manifest.count).toBeGreaterThan(KILLS / 2)
      expect(await pullAll(berth)).toEqual(needed)
      expect(await berth.stop()).toBe(0)
      // What a crash left between bytes and row is the daily sweep's, once it is older than any upload may be.
      const old = new Date(Date.now() - 30 * 24 * 3_600_000)
      for (const path of [...filesBelow('docker'), ...filesBelow('berth-uploads')]) utimesSync(path, old, old)
      const registry = await startRegistry({ directory: folder, env })
      await registry.app.upkeep.sweep()
      await registry.app.upkeep.collect()
      await registry.stop()
      const there = filesBelow('docker').map((path) => path.split('/').at(-2))
      expect(there.sort()).toEqual([...needed].map(hexOf).sort())
      expect(filesBelow('berth-uploads')).toEqual([])
    } finally {
      await berth.dispose()
    }
  },
  TIMEOUT,
)
