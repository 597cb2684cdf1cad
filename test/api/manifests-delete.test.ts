import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, descriptorOf, imageManifest, indexOf, must, pushBlob, pushManifest, putManifest } from './content.ts'
import { ask } from './exchange.ts'
import { expectManifest } from './expectations.ts'

const { ociManifest, ociIndex } = MEDIA_TYPES

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({ env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
  port = registry.port
  for (const content of ['config', 'layer', '{}']) await pushBlob(port, 'app', content)
})
afterAll(() => registry.stop())

const get = (reference: string, headers: Record<string, string> = {}, method = 'GET', repository = 'app') =>
  ask(port, method, `/v2/${repository}/manifests/${reference}`, { headers })

const image = imageManifest('config', ['layer'])

describe('"Deleting tags" and "Deleting Manifests" (end-9)', () => {
  const tagsOf = async () => (await ask(port, 'GET', '/v2/gone/tags/list')).text
  const text = (note: string) => imageManifest('config', ['layer'], { annotations: { note } })
  beforeAll(async () => {
    for (const content of ['config', 'layer']) await pushBlob(port, 'gone', content)
    for (const tag of ['a1', 'a2', 'a3']) await pushManifest(port, 'gone', tag, text('a'))
    await pushManifest(port, 'gone', 'b1', text('b'))
  })

  test('a tag alone goes by its name, and by its digest the manifest with every tag', async () => {
    const digest = digestOf(bytesOf(text('a')))
    const answer = await get('a1', {}, 'DELETE', 'gone')
    expect(answer).toMatchObject({ status: 202, text: '' })
    expect(answer.headers['content-length']).toBe('0')
    expect((await get('a1', {}, 'GET', 'gone')).status).toBe(404)
    expect((await get('a1', {}, 'DELETE', 'gone')).status).toBe(404)
    for (const reference of ['a2', digest]) expect((await get(reference, {}, 'GET', 'gone')).status).toBe(200)
    expect(await tagsOf()).toBe('{"name":"gone","tags":["a2","a3","b1"]}\n')

    await must(202, get(digest, {}, 'DELETE', 'gone'))
    for (const reference of ['a2', 'a3', digest]) expect((await get(reference, {}, 'GET', 'gone')).status).toBe(404)
    expect(await tagsOf()).toBe('{"name":"gone","tags":["b1"]}\n')
    expect((await get(digest, {}, 'DELETE', 'gone')).status).toBe(404)

    // Its blobs stay, so that the manifest can be pushed again.
    await must(201, putManifest(port, 'gone', 'a4', text('a')))
    expect(await tagsOf()).toBe('{"name":"gone","tags":["a4","b1"]}\n')
  })

  test('another repository with the same manifest keeps it', async () => {
    for (const repository of ['same/one', 'same/two']) {
      for (const content of ['config', 'layer']) await pushBlob(port, repository, content)
      await pushManifest(port, repository, 'latest', image)
    }
    await must(202, get(digestOf(bytesOf(image)), {}, 'DELETE', 'same/one'))
    expect((await get('latest', {}, 'GET', 'same/one')).status).toBe(404)
    expectManifest(await get('latest', {}, 'GET', 'same/two'), image)
  })

  test('a child goes though its index stays, and can come back', async () => {
    const child = text('child')
    const index = indexOf([descriptorOf(ociManifest, child)])
    await pushManifest(port, 'gone', 'child', child)
    await pushManifest(port, 'gone', 'parent', index, ociIndex)
    await must(202, get(digestOf(bytesOf(child)), {}, 'DELETE', 'gone'))
    expectManifest(await get('parent', {}, 'GET', 'gone'), index, ociIndex)
    await pushManifest(port, 'gone', 'child', child)
    expectManifest(await get(digestOf(bytesOf(child)), {}, 'GET', 'gone'), child)
  })
})
