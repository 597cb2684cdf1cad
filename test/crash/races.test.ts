import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import { type Content, makeImage, noise, pushBlob, pushImage } from '../image.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { answerIn, connect, head } from './raw-connection.ts'
import { completeUpload, offsetOf, startUpload } from './upload.ts'

const ROUNDS = 15
const TIMEOUT = 180_000
/** More than the kernel's buffers take of a download that nobody reads. */
const LARGE = 24 * 1024 * 1024

describe('requests at the same time', () => {
  let registry: TestRegistry

  beforeAll(async () => {
    registry = await startRegistry({ env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
  })
  afterAll(() => registry.stop())

  const get = (path: string) => fetch(`${registry.url}/v2/${path}`)
  const isWhole = async (repository: string, { digest }: Content) => {
    const answer = await get(`${repository}/blobs/${digest}`)
    return answer.status === 200 && digestOf(await answer.bytes()) === digest
  }
  const uploads = () => readdirSync(join(registry.directory, 'berth-uploads'))
  const folderOf = ({ digest }: Content) =>
    join(registry.directory, 'docker/registry/v2/blobs/sha256', hexOf(digest).slice(0, 2), hexOf(digest))

  test('two uploads of one digest both succeed, and there is one file of it', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const blob = contentOf(`same-${round}`, 1000 + round * 20_000)
      await Promise.all([
        pushBlob(registry.url, 'races/a', blob),
        pushBlob(registry.url, 'races/b', blob),
        pushBlob(registry.url, 'races/a', blob),
      ])
      expect([await isWhole('races/a', blob), await isWhole('races/b', blob)]).toEqual([true, true])
      expect(readdirSync(folderOf(blob))).toHaveLength(1)
    }
    expect(uploads()).toEqual([])
  })

  test('of two manifests put under one tag, one has the tag, and both are there by digest', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const images = ['x', 'y'].map((name) => makeImage({ seed: `${name}-${round}`, layers: [100] }))
      for (const image of images) await pushImage(registry.url, 'races/tags', image)
      const answers = await Promise.all(
        images.map(({ manifest }) =>
          fetch(`${registry.url}/v2/races/tags/manifests/contested`, {
            method: 'PUT',
            headers: { 'Content-Type': manifest.mediaType },
            body: manifest.bytes,
          }),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual([201, 201])
      const digests = images.map(({ manifest }) => manifest.digest)
      const found = await Promise.all(
        [0, 1].map(async () => digestOf(await (await get('races/tags/manifests/contested')).bytes())),
      )
      expect(digests.map(String)).toContain(found[0] ?? '')
      expect(found[1]).toBe(found[0])
      for (const digest of digests) expect((await get(`races/tags/manifests/${digest}`)).status).toBe(200)
    }
  })

  test.each(['deleted by a client', 'deleted, and its file removed'])(
    'a pull completes whole when its blob is %s meanwhile',
    async (how) => {
      const blob = contentOf(how, LARGE)
      await pushBlob(registry.url, 'races/pull', blob)
      const download = await connect(registry.port)
      await download.send(head('GET', `/v2/races/pull/blobs/${blob.digest}`))
      await download.until((received) => (answerIn(received)?.body.length ?? 0) > 0)
      download.pause()
      const url = `${registry.url}/v2/races/pull/blobs/${blob.digest}`
      expect((await fetch(url, { method: 'DELETE' })).status).toBe(202)
      if (how.includes('file')) unlinkSync(join(folderOf(blob), 'data'))
      expect((await fetch(url)).status).toBe(404)
      download.resume()
      const whole = await download.until((received) => (answerIn(received)?.body.length ?? 0) >= LARGE)
      download.destroy()
      expect(digestOf(answerIn(whole)?.body ?? Buffer.alloc(0))).toBe(blob.digest)
      // The registry heals: the same bytes can be pushed again.
      await pushBlob(registry.url, 'races/pull', blob)
      expect(await isWhole('races/pull', blob)).toBe(true)
    },
    TIMEOUT,
  )

  test('a newer PATCH takes over an upload whose sender hangs, and goes on where its bytes end', async () => {
    const blob = contentOf('taken over', 600_000)
    const session = await startUpload(registry.url, 'races/patch')
    const hanging = await connect(registry.port)
    await hanging.send(head('PATCH', session, { 'Content-Length': blob.bytes.length }))
    await hanging.send(blob.bytes.subarray(0, 250_000))
    expect((await fetch(`${registry.url}/v2/`)).status).toBe(200)
    const offset = await completeUpload(registry.url, session, blob)
    expect(offset).toBeLessThanOrEqual(250_000)
    expect(await isWhole('races/patch', blob)).toBe(true)
    hanging.destroy()
  })

  test('of two PATCHes of the same bytes at most one counts, and the upload stays one sequence', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const blob = contentOf(`patched-${round}`, 400_000)
      const session = await startUpload(registry.url, 'races/patch')
      const body = blob.bytes.subarray(0, 300_000)
      const patch = async () => {
        const headers = { 'Content-Range': `0-${body.length - 1}` }
        return (await fetch(`${registry.url}${session}`, { method: 'PATCH', headers, body })).status
      }
      const statuses = await Promise.all([patch(), patch()])
      // 408: the newer one took the session over.
      for (const status of statuses) expect([202, 408, 416]).toContain(status)
      expect(statuses.filter((status) => status === 202).length).toBeLessThanOrEqual(1)
      expect(await offsetOf(registry.url, session)).toBeLessThanOrEqual(body.length)
      await completeUpload(registry.url, session, blob)
      expect(await isWhole('races/patch', blob)).toBe(true)
    }
    expect(uploads()).toEqual([])
  })

  test('an upload that is finished twice becomes one blob, and the loser hears that the session is over', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const blob = contentOf(`finished-${round}`, 5000)
      const session = await startUpload(registry.url, 'races/finish')
      expect((await fetch(`${registry.url}${session}`, { method: 'PATCH', body: blob.bytes })).status).toBe(202)
      const finish = async () =>
        (await fetch(`${registry.url}${session}?digest=${blob.digest}`, { method: 'PUT' })).status
      const statuses = await Promise.all([finish(), finish()])
      expect(statuses.toSorted()).toEqual([201, 404])
      expect(await isWhole('races/finish', blob)).toBe(true)
    }
  })

  test('a blob that is mounted while it is deleted at its source is there as a whole, or is asked for', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const blob = contentOf(`mounted-${round}`, 3000)
      await pushBlob(registry.url, 'races/source', blob)
      const source = `${registry.url}/v2/races/source/blobs/${blob.digest}`
      const mount = `${registry.url}/v2/races/target/blobs/uploads/?mount=${blob.digest}&from=races/source`
      const requests = [fetch(source, { method: 'DELETE' }), fetch(mount, { method: 'POST' })]
      const [deleted, mounted] = await Promise.all(requests)
      expect(deleted?.status).toBe(202)
      expect([201, 202]).toContain(mounted?.status ?? 0)
      expect(await isWhole('races/target', blob)).toBe(mounted?.status === 201)
      expect((await fetch(source)).status).toBe(404)
    }
  })
})

function contentOf(seed: string, size: number): Content {
  const bytes = noise(size, seed)
  return { mediaType: 'application/octet-stream', digest: digestOf(bytes), bytes }
}
