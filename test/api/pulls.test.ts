import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { DOCKER_IMAGE, descriptorOf, indexOf, pushBlob, pushManifest } from './content.ts'
import { ask } from './exchange.ts'

const { dockerManifest, dockerList } = MEDIA_TYPES

let directory: string
let time = 1000
const now = () => time
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'berth-pulls-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Runs a registry until its graceful end, and tells what its database says of pulls then. */
async function pullsAfter(work: (registry: TestRegistry) => Promise<void>): Promise<Record<string, unknown>> {
  const registry = await startRegistry({ directory, now })
  await work(registry)
  await registry.stop()
  using database = new Database(join(directory, 'berth.db'), { readonly: true })
  const rows = database
    .query<{ what: string; pulls: number; last: number }, []>(
      `SELECT name AS what, pulls, last_at AS last FROM tag_pulls
       UNION SELECT digest, pulls, last_at FROM manifest_pulls JOIN manifests ON id = manifest_id`,
    )
    .all()
  return Object.fromEntries(rows.map(({ what, pulls, last }) => [what, `${pulls} at ${last}`]))
}

test('a manifest that is sent counts for its tag and itself, across restarts; asking for it alone does not', async () => {
  const child = { ...descriptorOf(dockerManifest, DOCKER_IMAGE), platform: { os: 'linux', architecture: 'amd64' } }
  const list = indexOf([child], { mediaType: dockerList })
  const listDigest = descriptorOf(dockerList, list).digest
  const get = ({ port }: TestRegistry, reference: string, headers: Record<string, string>, method = 'GET') =>
    ask(port, method, `/v2/app/manifests/${reference}`, { headers })

  const first = await pullsAfter(async (registry) => {
    for (const content of ['config', 'layer']) await pushBlob(registry.port, 'app', content)
    await pushManifest(registry.port, 'app', 'image', DOCKER_IMAGE, dockerManifest)
    await pushManifest(registry.port, 'app', 'list', list, dockerList)
    expect((await get(registry, 'list', { Accept: dockerList }, 'HEAD')).status).toBe(200)
    expect((await get(registry, 'nothing', { Accept: dockerList })).status).toBe(404)
    expect((await get(registry, 'image', { Accept: 'text/plain;q=1, text/html' })).status).toBe(200)
    time = 2000
    expect((await get(registry, child.digest, { Accept: dockerManifest })).status).toBe(200)
    const known = { Accept: dockerManifest, 'If-None-Match': `"${child.digest}"` }
    expect((await get(registry, child.digest, known)).status).toBe(304)
  })
  expect(first).toEqual({ image: '1 at 1000', [child.digest]: '2 at 2000' })

  time = 3000
  const second = await pullsAfter(async (registry) => {
    for (let turn = 0; turn < 3; turn++) expect((await get(registry, 'list', { Accept: dockerList })).status).toBe(200)
    // A client that knows no lists gets the child: a pull of the tag, of what it names, and of what was sent.
    expect((await get(registry, 'list', { Accept: dockerManifest })).status).toBe(200)
  })
  expect(second).toEqual({
    ...{ image: '1 at 1000', list: '4 at 3000' },
    ...{ [listDigest]: '4 at 3000', [child.digest]: '3 at 3000' },
  })
})
