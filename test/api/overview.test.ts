import { afterAll, beforeAll, expect, test } from 'bun:test'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { codesOf, must, nextOf, pushImage } from './content.ts'
import { ask } from './exchange.ts'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry()
  port = registry.port
  for (const tag of ['v1', 'v2']) await pushImage(port, 'team/app', tag)
  await pushImage(port, 'other', 'v1')
})
afterAll(() => registry.stop())

const get = async (path: string) => {
  const answer = await must(200, ask(port, 'GET', path))
  return { json: JSON.parse(answer.text) as Record<string, Record<string, unknown>[]>, next: nextOf(answer) }
}
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/)
const pull = (path: string) =>
  must(200, ask(port, 'GET', `/v2/${path}`, { headers: { Accept: MEDIA_TYPES.ociManifest } }))

test('tags come with sizes, pushes and pulls; a look at a manifest is no pull, and nobody is named', async () => {
  await pull('team/app/manifests/v1')
  await pull('team/app/manifests/v2?look')
  await registry.app.flushPulls()
  const first = await get('/v2/team/app/_berth/tags/list?n=1')
  expect(first.json).toEqual({
    name: 'team/app' as never,
    tags: [
      {
        ...{ name: 'v1', digest: expect.stringMatching(/^sha256:/), mediaType: MEDIA_TYPES.ociManifest },
        ...{ size: expect.any(Number), pushedAt: TIME, pulls: 1, lastPullAt: TIME },
      },
    ],
  })
  if (first.next === undefined) throw new Error('there is no next page')
  const second = await get(first.next)
  expect(second.json.tags).toMatchObject([{ name: 'v2', pulls: 0, lastPullAt: null }])
  expect(second.next).toBeUndefined()
})

test('repositories come with counts, page by page', async () => {
  const first = await get('/v2/_berth/catalog/list?n=1')
  expect(first.json.repositories).toMatchObject([{ name: 'other', tags: 1, blobs: 2, complete: true, updatedAt: TIME }])
  if (first.next === undefined) throw new Error('there is no next page')
  expect((await get(first.next)).json.repositories).toMatchObject([{ name: 'team/app', tags: 2 }])
})

test('of a repository that is not there they are none', async () => {
  const answer = await ask(port, 'GET', '/v2/none/_berth/tags/list')
  expect([answer.status, codesOf(answer)]).toEqual([404, ['NAME_UNKNOWN']])
  const nonsense = await ask(port, 'GET', '/v2/team/app/_berth/tags/list?n=x')
  expect([nonsense.status, codesOf(nonsense)]).toEqual([400, ['PAGINATION_NUMBER_INVALID']])
})

test('administrators get the same by the API, with who pushed', async () => {
  const list = async (path: string) => {
    const response = await registry.app.control(new Request(`http://berth/api/v1${path}`))
    return { status: response.status, json: await response.json(), link: response.headers.get('link') }
  }
  expect(await list('/repositories?limit=1')).toEqual({
    status: 200,
    json: { repositories: [expect.objectContaining({ name: 'other', tags: 1, createdAt: TIME })] },
    link: '</api/v1/repositories?limit=1&last=other>; rel="next"',
  })
  expect(await list('/repositories/team%2Fapp/tags?last=v1')).toMatchObject({
    json: { tags: [{ name: 'v2', pushedBy: '', pushedAt: TIME }] },
    link: null,
  })
  expect(await list('/repositories/none/tags')).toMatchObject({ status: 404 })
  expect(await list('/repositories?limit=101')).toMatchObject({ status: 400 })
})
