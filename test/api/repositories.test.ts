import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startReceiver, type WebhookReceiver } from '../receiver.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, codesOf, imageManifest, must, placeOf, pushBlob, pushImage, putManifest } from './content.ts'
import { ask } from './exchange.ts'

/** Whole repositories: deleted, restored, renamed while clients push and pull. */

let receiver: WebhookReceiver
let registry: TestRegistry
let port: number
beforeAll(async () => {
  receiver = startReceiver()
  const endpoints = JSON.stringify([
    { name: 'hook', url: receiver.url, ignore: { actions: ['push', 'pull', 'mount'] } },
  ])
  registry = await startRegistry({ env: { REGISTRY_NOTIFICATIONS_ENDPOINTS: endpoints } })
  port = registry.port
})
afterAll(async () => {
  await registry.stop()
  await receiver.stop()
})

async function control(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const response = await registry.app.control(new Request(`http://berth/api/v1${path}`, { method, ...init }))
  const text = await response.text()
  return { status: response.status, json: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) }
}

const at = (name: string) => `/repositories/${encodeURIComponent(name)}`
const get = (name: string, reference: string) =>
  ask(port, 'GET', `/v2/${name}/manifests/${reference}`, { headers: { Accept: MEDIA_TYPES.ociManifest } })
const tagsOf = (name: string) => ask(port, 'GET', `/v2/${name}/tags/list`)

/** An index of one manifest; its digest. */
async function putIndex(name: string, tag: string, child: string): Promise<string> {
  const mediaType = MEDIA_TYPES.ociIndex
  const entry = { mediaType: MEDIA_TYPES.ociManifest, digest: child, size: 1 }
  const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests: [entry] })
  const headers = { 'Content-Type': mediaType }
  await must(201, ask(port, 'PUT', `/v2/${name}/manifests/${tag}`, { headers, body }))
  return digestOf(bytesOf(body))
}

/** The repositories that have the tag, each of which must have all of its image. */
async function placesOf(tag: string, names: readonly string[]): Promise<string[]> {
  const places: string[] = []
  for (const name of names) {
    const manifest = await get(name, tag)
    if (manifest.status === 404) continue
    const { config, layers } = JSON.parse(manifest.text) as { config: { digest: string }; layers: { digest: string }[] }
    for (const { digest } of [config, ...layers]) await must(200, ask(port, 'HEAD', `/v2/${name}/blobs/${digest}`))
    places.push(name)
  }
  return places
}

describe('deleting a repository', () => {
  test('makes its name unknown, and one restoration brings all of it back', async () => {
    for (const tag of ['v1', 'v2']) await pushImage(port, 'team/gone', tag)
    const place = placeOf(await must(202, ask(port, 'POST', '/v2/team/gone/blobs/uploads/')))
    expect((await get('team/gone', 'v1')).status).toBe(200)

    const { status, json } = await control('DELETE', at('team/gone'))
    expect([status, json]).toEqual([200, { batch: expect.any(String), manifests: 2, tags: 2, uploads: 1, purged: 0 }])
    expect((await get('team/gone', 'v1')).status).toBe(404)
    const tags = await tagsOf('team/gone')
    expect([tags.status, codesOf(tags)]).toEqual([404, ['NAME_UNKNOWN']])
    expect(JSON.parse((await ask(port, 'GET', '/v2/_catalog')).text)).toEqual({ repositories: [] })
    const chunk = await ask(port, 'PATCH', place, { body: 'more' })
    expect([chunk.status, codesOf(chunk)]).toEqual([404, ['BLOB_UPLOAD_UNKNOWN']])
    expect((await control('DELETE', at('team/gone'))).status).toBe(404)

    const restored = await control('POST', '/trash/restore', { repository: 'team/gone', batch: json.batch })
    expect(restored.status).toBe(200)
    expect(JSON.parse((await tagsOf('team/gone')).text)).toEqual({ name: 'team/gone', tags: ['v1', 'v2'] })
    expect(await placesOf('v1', ['team/gone'])).toEqual(['team/gone'])

    expect((await control('DELETE', `${at('team/gone')}?purge=true`)).json).toMatchObject({ manifests: 2, purged: 2 })
    expect((await control('GET', '/trash?repository=team/gone')).json).toEqual({ manifests: [] })
    expect((await ask(port, 'HEAD', `/v2/team/gone/blobs/${digestOf(bytesOf('layer v1'))}`)).status).toBe(404)
    await pushImage(port, 'team/gone', 'v3')
    expect(JSON.parse((await tagsOf('team/gone')).text)).toEqual({ name: 'team/gone', tags: ['v3'] })
    const events = await receiver.waitFor(2)
    expect(events.map(({ event: { action, target, actor } }) => [action, target, actor])).toEqual(
      Array(2).fill(['delete', { repository: 'team/gone' }, { name: '@operator' }]),
    )
  })
})

describe('renaming a repository', () => {
  test('gives pulls to the new name alone, whatever memory held of the old one', async () => {
    const digest = await pushImage(port, 'team/old', 'v1')
    for (const reference of ['v1', digest]) expect((await get('team/old', reference)).status).toBe(200)
    expect(await placesOf('v1', ['team/old'])).toEqual(['team/old'])
    expect(await control('POST', `${at('team/old')}/rename`, { to: 'team/new' })).toEqual({ status: 204, json: {} })
    for (const reference of ['v1', digest]) expect((await get('team/old', reference)).status).toBe(404)
    expect((await ask(port, 'GET', `/v2/team/old/blobs/${digestOf(bytesOf('layer v1'))}`)).status).toBe(404)
    expect(codesOf(await tagsOf('team/old'))).toEqual(['NAME_UNKNOWN'])
    expect(await placesOf('v1', ['team/old', 'team/new'])).toEqual(['team/new'])
  })

  test('is refused in words that say what to do', async () => {
    await pushImage(port, 'team/one', 'v1')
    await pushImage(port, 'team/two', 'v1')
    const refused = async (to: string, from = 'team/one') => {
      const { status, json } = await control('POST', `${at(from)}/rename`, { to })
      return [status, json.detail]
    }
    expect(await refused('team/two')).toEqual([409, expect.stringContaining('there is a repository team/two already')])
    expect(await refused('Team/Two')).toEqual([400, expect.stringContaining('is no repository name')])
    expect(await refused('team/three', 'team/none')).toEqual([404, 'there is no repository team/none'])
    await control('DELETE', at('team/two'))
    expect(await refused('team/two')).toEqual([409, expect.stringContaining('berth trash list --repository team/two')])
    expect(await placesOf('v1', ['team/one'])).toEqual(['team/one'])
  })

  test('leaves an upload to the name by which it was begun', async () => {
    await pushImage(port, 'team/under-way', 'v1')
    const place = placeOf(await must(202, ask(port, 'POST', '/v2/team/under-way/blobs/uploads/')))
    await control('POST', `${at('team/under-way')}/rename`, { to: 'team/moved' })
    const digest = digestOf(bytesOf('late layer'))
    await must(201, ask(port, 'PUT', `${place}?digest=${digest}`, { body: 'late layer' }))
    expect((await ask(port, 'HEAD', `/v2/team/under-way/blobs/${digest}`)).status).toBe(200)
    expect((await ask(port, 'HEAD', `/v2/team/moved/blobs/${digest}`)).status).toBe(404)
    const manifest = imageManifest('config v1', ['layer v1', 'late layer'])
    const put = await putManifest(port, 'team/under-way', 'v2', manifest)
    expect([put.status, codesOf(put)]).toEqual([400, ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN']])
  })

  test('while clients push: what was acknowledged is in one place, whole; what was refused is nowhere', async () => {
    const names = ['race/a', 'race/b']
    await pushImage(port, 'race/a', 'first')
    let isOver = false
    const outcomes = new Map<string, boolean>()
    async function push(client: number): Promise<void> {
      for (let turn = 0; turn < 12; turn++) {
        const tag = `t-${client}-${turn}`
        const [config, layer] = [`config ${tag}`, `layer ${tag}`]
        await pushBlob(port, 'race/a', config)
        await pushBlob(port, 'race/a', layer)
        const put = await putManifest(port, 'race/a', tag, imageManifest(config, [layer]))
        expect([201, 400]).toContain(put.status)
        if (put.status === 400) expect(new Set(codesOf(put))).toEqual(new Set(['MANIFEST_BLOB_UNKNOWN']))
        outcomes.set(tag, put.status === 201)
      }
    }
    const renamed: string[] = []
    async function rename(): Promise<void> {
      for (let turn = 0; !isOver; turn++) {
        const to = `race/moved-${turn}`
        const { status } = await control('POST', `${at('race/a')}/rename`, { to })
        expect([204, 404]).toContain(status)
        if (status === 204) renamed.push(to)
      }
    }
    const renaming = rename()
    await Promise.all([1, 2, 3].map(push))
    isOver = true
    await renaming
    expect(renamed.length).toBeGreaterThan(0)
    expect(outcomes.size).toBe(36)
    const places = [...names, ...renamed]
    for (const [tag, isStored] of outcomes)
      expect([tag, (await placesOf(tag, places)).length]).toEqual([tag, isStored ? 1 : 0])
    expect(await placesOf('first', places)).toHaveLength(1)
  })
})

describe('deleting a repository for good', () => {
  test('takes indexes before what they name, whatever the order of their digests', async () => {
    let name: string = await pushImage(port, 'team/nested', 'v1')
    const digests = [name]
    for (const tag of ['inner', 'middle', 'outer']) {
      name = await putIndex('team/nested', tag, name)
      digests.push(name)
    }
    // The deletion goes by digests: some index went before the one that names it.
    expect(digests.slice(1)).not.toEqual(digests.slice(1).toSorted().reverse())
    expect((await control('DELETE', `${at('team/nested')}?purge=true`)).json).toMatchObject({ manifests: 4, purged: 4 })
    expect((await control('GET', '/trash?repository=team/nested')).json).toEqual({ manifests: [] })
  })

  test('takes nothing out alone that an index in the trash names', async () => {
    const image = await pushImage(port, 'team/held', 'v1')
    await putIndex('team/held', 'all', image)
    await control('DELETE', at('team/held'))
    const trash = (await control('GET', '/trash?repository=team/held')).json.manifests as {
      id: number
      tags: string[]
    }[]
    const idOf = (tag: string) => trash.find(({ tags }) => tags.includes(tag))?.id
    const { status, json } = await control('DELETE', `/trash/${idOf('v1')}`)
    expect([status, json.detail]).toEqual([409, expect.stringContaining('take the index out first')])
    const outcomes: number[] = []
    for (const tag of ['all', 'v1', 'v1']) outcomes.push((await control('DELETE', `/trash/${idOf(tag)}`)).status)
    expect(outcomes).toEqual([204, 204, 404])
  })
})
