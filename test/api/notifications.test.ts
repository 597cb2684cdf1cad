import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { type Received, startReceiver, type WebhookReceiver } from '../receiver.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { CONFIG, descriptorOf, imageManifest, indexOf, LAYER, pushBlob, pushManifest } from './content.ts'

let receiver: WebhookReceiver
const registries: TestRegistry[] = []
beforeEach(() => {
  receiver = startReceiver()
})
afterEach(async () => {
  for (const registry of registries.splice(0)) await registry.stop()
  await receiver.stop()
})

interface Endpoint {
  name?: string
  url?: string
  headers?: Record<string, string[]>
  ignore?: { mediatypes?: string[]; actions?: string[] }
  [key: string]: unknown
}

async function start(endpoints: Endpoint[] = [{}], env: Record<string, string> = {}): Promise<TestRegistry> {
  const whole = endpoints.map((endpoint) => ({ name: 'hook', url: receiver.url, ...endpoint }))
  const registry = await startRegistry({
    env: { REGISTRY_NOTIFICATIONS_ENDPOINTS: JSON.stringify(whole), ...env },
  })
  registries.push(registry)
  return registry
}

const IMAGE = imageManifest('config', ['layer'])
const image = descriptorOf(MEDIA_TYPES.ociManifest, IMAGE)
const layer = descriptorOf(LAYER, 'layer')
const config = descriptorOf(CONFIG, 'config')
const ACCEPT = { Accept: MEDIA_TYPES.ociManifest }

async function pushImage(port: number, repository = 'team/app', tag = 'v1'): Promise<void> {
  await pushBlob(port, repository, 'config')
  await pushBlob(port, repository, 'layer')
  await pushManifest(port, repository, tag, IMAGE)
}

const seen = (list: readonly Received[]) => list.map(({ event }) => [event.action, event.target] as const)
const blob = (url: string, { digest, size }: { digest: string; size: number }, repository = 'team/app') => ({
  mediaType: 'application/octet-stream',
  ...{ size, digest, length: size, repository },
  url: `${url}/v2/${repository}/blobs/${digest}`,
})
const manifest = (url: string, more: object = {}, of = image) => ({
  mediaType: of.mediaType,
  ...{ size: of.size, digest: of.digest, length: of.size, repository: 'team/app' },
  url: `${url}/v2/team/app/manifests/${of.digest}`,
  ...more,
})

describe('what happens is told, in order', () => {
  test('a push', async () => {
    const { port, url } = await start()
    await pushImage(port)
    expect(seen(await receiver.waitFor(3))).toEqual([
      ['push', blob(url, config)],
      ['push', blob(url, layer)],
      ['push', manifest(url, { tag: 'v1' })],
    ])
  })

  test('a push by digest, and one with further tags', async () => {
    const { port, url } = await start([{ ignore: { mediatypes: ['application/octet-stream'] } }])
    await pushImage(port)
    await pushManifest(port, 'team/app', image.digest, IMAGE)
    await pushManifest(port, 'team/app', `${image.digest}?tag=b&tag=a`, IMAGE)
    expect(seen(await receiver.waitFor(4))).toEqual([
      ['push', manifest(url, { tag: 'v1' })],
      ['push', manifest(url)],
      ['push', manifest(url, { tag: 'b' })],
      ['push', manifest(url, { tag: 'a' })],
    ])
  })

  test('a push that is refused is not', async () => {
    const { port, url } = await start()
    const body = imageManifest('missing', [])
    const headers = { 'Content-Type': MEDIA_TYPES.ociManifest }
    const answer = await fetch(`${url}/v2/team/app/manifests/v1`, { method: 'PUT', headers, body })
    expect(answer.status).toBe(400)
    await pushImage(port)
    expect(seen(await receiver.waitFor(3))[0]).toEqual(['push', blob(url, config)])
  })

  test('pulls of manifests and blobs, with GET and HEAD, but not what changed nothing for the client', async () => {
    const { port, url } = await start([{ ignore: { actions: ['push'] } }])
    await pushImage(port)
    const get = (path: string, init: RequestInit = {}) => fetch(`${url}/v2/team/app/${path}`, init)
    const statuses = [
      await get('manifests/v1', { headers: ACCEPT }),
      await get('manifests/v1', { method: 'HEAD', headers: ACCEPT }),
      await get(`manifests/${image.digest}`, { headers: ACCEPT }),
      await get('manifests/v1', { headers: { ...ACCEPT, 'If-None-Match': `"${image.digest}"` } }),
      await get('manifests/none', { headers: ACCEPT }),
      await get(`blobs/${layer.digest}`),
      await get(`blobs/${layer.digest}`, { method: 'HEAD' }),
      await get(`blobs/${layer.digest}`, { headers: { Range: 'bytes=1-2' } }),
      await get(`blobs/${layer.digest}`, { headers: { Range: 'bytes=99-' } }),
      await get(`blobs/${layer.digest}`, { headers: { 'If-None-Match': `"${layer.digest}"` } }),
    ].map(({ status }) => status)
    expect(statuses).toEqual([200, 200, 200, 304, 404, 200, 200, 206, 416, 304])
    const list = await receiver.waitFor(6)
    expect(seen(list)).toEqual([
      ['pull', manifest(url, { tag: 'v1' })],
      ['pull', manifest(url, { tag: 'v1' })],
      ['pull', manifest(url)],
      ['pull', blob(url, layer)],
      ['pull', blob(url, layer)],
      ['pull', blob(url, layer)],
    ])
    expect(list.map(({ event }) => event.request.method)).toEqual(['GET', 'HEAD', 'GET', 'GET', 'HEAD', 'GET'])
  })

  test('a mount, from where the client says', async () => {
    const { port, url } = await start([{ ignore: { actions: ['push'] } }])
    await pushImage(port)
    const mount = (query: string) =>
      fetch(`${url}/v2/other/uploads-of/blobs/uploads/?mount=${layer.digest}${query}`, { method: 'POST' })
    expect((await mount('&from=team/app')).status).toBe(201)
    expect((await mount('')).status).toBe(201)
    expect((await mount('&from=team/nothing')).status).toBe(202)
    const mounted = blob(url, layer, 'other/uploads-of')
    expect(seen(await receiver.waitFor(2))).toEqual([
      ['mount', { ...mounted, fromRepository: 'team/app' }],
      ['mount', mounted],
    ])
  })

  test('deletions: a tag, a manifest and then its tags, a blob', async () => {
    const { port, url } = await start([{ ignore: { actions: ['push', 'pull'] } }])
    await pushImage(port)
    for (const tag of ['c', 'b', 'a']) await pushManifest(port, 'team/app', tag, IMAGE)
    const remove = async (path: string) => (await fetch(`${url}/v2/team/app/${path}`, { method: 'DELETE' })).status
    expect(await remove('manifests/c')).toBe(202)
    expect(await remove('manifests/c')).toBe(404)
    expect(await remove(`blobs/${layer.digest}`)).toBe(403)
    expect(await remove(`manifests/${image.digest}`)).toBe(202)
    expect(await remove(`blobs/${layer.digest}`)).toBe(202)
    expect(await remove(`blobs/${layer.digest}`)).toBe(404)
    const repository = 'team/app'
    const list = await receiver.waitFor(6)
    expect(seen(list)).toEqual([
      ['delete', { repository, tag: 'c' }],
      ['delete', { repository, digest: image.digest }],
      ['delete', { repository, tag: 'a' }],
      ['delete', { repository, tag: 'b' }],
      ['delete', { repository, tag: 'v1' }],
      ['delete', { repository, digest: layer.digest }],
    ])
    expect(new Set(list.map(({ event }) => event.id)).size).toBe(6)
  })
})

test('the envelope has what is known of request, actor and source', async () => {
  const { port } = await start([{ ignore: { mediatypes: ['application/octet-stream'] } }])
  await pushImage(port)
  const [one] = await receiver.waitFor(1)
  if (one === undefined) throw new Error('nothing came')
  expect(one.headers['content-type']).toBe('application/vnd.docker.distribution.events.v2+json')
  expect(one.text).toBe(JSON.stringify({ events: [one.event] }, null, 3))
  const { id, timestamp, request, actor, source } = one.event
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
  expect([id, request.id, source.instanceID]).toEqual(Array(3).fill(expect.stringMatching(uuid)))
  expect(new Date(timestamp).toISOString()).toBe(timestamp)
  expect(request).toMatchObject({ host: `127.0.0.1:${port}`, method: 'PUT' })
  expect(request.addr).toMatch(/^127\.0\.0\.1:\d+$/)
  expect(actor).toEqual({})
  expect(source.addr).toMatch(/.:0$/)
})

test('what HTML would misread is escaped, as Go does it', async () => {
  const { url } = await start([{ ignore: { actions: ['pull'] } }])
  const answer = await fetch(`${url}/v2/a/blobs/uploads/?digest=${layer.digest}`, {
    method: 'POST',
    body: 'layer',
    headers: { 'User-Agent': '<b>&' },
  })
  expect(answer.status).toBe(201)
  const [one] = await receiver.waitFor(1)
  expect(one?.text).toContain('"useragent": "\\u003cb\\u003e\\u0026"')
  expect(one?.event.request.useragent).toBe('<b>&')
})

test('references come where they are asked for: of pushes and pulls, of manifests and indexes', async () => {
  const { port, url } = await start([{ ignore: { mediatypes: ['application/octet-stream'] } }], {
    REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES: 'true',
  })
  await pushImage(port)
  const platform = { architecture: 'amd64', os: 'linux' }
  const index = indexOf([{ ...image, platform, annotations: { a: 'b' } }])
  await pushManifest(port, 'team/app', 'multi', index, MEDIA_TYPES.ociIndex)
  await receiver.waitFor(2)
  await fetch(`${url}/v2/team/app/manifests/v1`, { headers: ACCEPT })
  const list = await receiver.waitFor(3)
  expect(list.map(({ event }) => event.target.references)).toEqual([
    [config, layer],
    [{ ...image, annotations: { a: 'b' }, platform }],
    [config, layer],
  ])
})

test('each endpoint gets what it wants, with its own headers and media type', async () => {
  const other = startReceiver()
  try {
    const { port } = await start([
      {
        name: 'one',
        ignore: { mediatypes: ['application/octet-stream'] },
        headers: { Authorization: ['Bearer secret'], 'X-Two': ['1', '2'] },
        mediatype: 'application/vnd.docker.distribution.events.v1+json',
      },
      {
        name: 'two',
        url: other.url.replace('http://', 'http://us%40er:pass@'),
        ignoredmediatypes: [MEDIA_TYPES.ociManifest],
      },
      { name: 'deaf', ignore: { actions: ['push', 'pull', 'mount', 'delete'] } },
      { name: 'off', disabled: true },
    ])
    await pushImage(port)
    const ones = await receiver.waitFor(1)
    const twos = await other.waitFor(2)
    // Had anything else been queued, it would have come before this.
    await pushManifest(port, 'team/app', 'v2', IMAGE)
    await receiver.waitFor(2)
    expect(ones.map(({ event }) => event.target.tag)).toEqual(['v1', 'v2'])
    expect(twos.map(({ event }) => event.target.digest)).toEqual([config.digest, layer.digest])
    expect(ones[0]?.headers).toMatchObject({
      authorization: 'Bearer secret',
      'x-two': '1, 2',
      'content-type': 'application/vnd.docker.distribution.events.v1+json',
    })
    expect(twos[0]?.headers.authorization).toBe(`Basic ${btoa('us@er:pass')}`)
  } finally {
    await other.stop()
  }
})
