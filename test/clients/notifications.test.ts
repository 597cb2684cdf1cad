import { expect, test } from 'bun:test'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { descriptorOf, imageManifest, indexOf } from '../api/content.ts'
import { describeWith } from '../programs.ts'
import { type ReceivedEvent, startReceiver, type WebhookReceiver } from '../receiver.ts'
import { startRegistry } from '../start-registry.ts'
import { startDebianRegistry } from './debian-registry.ts'

const IMAGE = imageManifest('config', ['layer'], { annotations: { a: '1' } })
const image = descriptorOf(MEDIA_TYPES.ociManifest, IMAGE)
const INDEX = indexOf([{ ...image, platform: { architecture: 'amd64', os: 'linux' } }])
const index = descriptorOf(MEDIA_TYPES.ociIndex, INDEX)
const layer = descriptorOf('any', 'layer')
const ACCEPT = { Accept: `${image.mediaType}, ${index.mediaType}` }
const PUT = (type: string, body: string) => ({ method: 'PUT', headers: { 'Content-Type': type }, body })

type Step = [method: string, path: string, init?: RequestInit]

/** What a client does; each step is one event (or several) in the original. */
const steps: [step: Step, events: number][] = [
  [['PUT', 'blob config'], 1],
  [['PUT', 'blob layer'], 1],
  [['PUT', 'team/app/manifests/v1', PUT(image.mediaType, IMAGE)], 1],
  [['PUT', `team/app/manifests/${image.digest}`, PUT(image.mediaType, IMAGE)], 1],
  [['PUT', 'team/app/manifests/multi', PUT(index.mediaType, INDEX)], 1],
  [['GET', 'team/app/manifests/v1', { headers: ACCEPT }], 1],
  [['HEAD', 'team/app/manifests/v1', { headers: ACCEPT }], 1],
  [['GET', `team/app/manifests/${image.digest}`, { headers: ACCEPT }], 1],
  [['GET', 'team/app/manifests/multi', { headers: ACCEPT }], 1],
  [['GET', 'team/app/manifests/v1', { headers: { ...ACCEPT, 'If-None-Match': `"${image.digest}"` } }], 0],
  [['GET', 'team/app/manifests/none', { headers: ACCEPT }], 0],
  [['GET', `team/app/blobs/${layer.digest}`], 1],
  [['HEAD', `team/app/blobs/${layer.digest}`], 1],
  [['GET', `team/app/blobs/${layer.digest}`, { headers: { Range: 'bytes=1-2' } }], 1],
  [['POST', `other/app/blobs/uploads/?mount=${layer.digest}&from=team/app`], 1],
  [['DELETE', `other/app/blobs/${layer.digest}`], 1],
  [['DELETE', `team/app/manifests/${index.digest}`], 2],
  [['DELETE', `team/app/manifests/${image.digest}`], 2],
]

/** The events of every step, each waited for, so that their order is the client's. */
async function walk(url: string, receiver: WebhookReceiver): Promise<ReceivedEvent[]> {
  let expected = 0
  for (const [[method, path, init], events] of steps) {
    if (path.startsWith('blob ')) await pushBlob(url, path.slice(5))
    else await (await fetch(`${url}/v2/${path}`, { method, ...init })).arrayBuffer()
    expected += events
    await receiver.waitFor(expected)
  }
  return receiver.accepted.map(({ event }) => event)
}

async function pushBlob(url: string, text: string): Promise<void> {
  const started = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const location = new URL(started.headers.get('location') ?? '', url)
  location.searchParams.set('digest', descriptorOf('any', text).digest)
  const headers = { 'Content-Type': 'application/octet-stream' }
  const answer = await fetch(location, { method: 'PUT', body: text, headers })
  expect(answer.status).toBe(201)
}

/** Without what differs from run to run; every such value must be there, and look right. */
function comparable(event: ReceivedEvent, url: string) {
  const { id, timestamp, request, source } = event
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
  for (const one of [id, request.id, source.instanceID]) expect(one).toMatch(uuid)
  expect(Number.isNaN(Date.parse(timestamp))).toBe(false)
  expect(request.addr).toMatch(/^127\.0\.0\.1:\d+$/)
  expect(request.host).toBe(new URL(url).host)
  const text = JSON.stringify({
    ...{ ...event, id: 'ID', timestamp: 'TIME' },
    request: { ...request, id: 'ID', addr: 'ADDR', host: 'HOST' },
    source: { ...source, addr: source.addr?.replace(/:\d+$/, ':PORT'), instanceID: 'ID' },
  })
  return JSON.parse(text.replaceAll(url, 'URL')) as ReceivedEvent
}

/** Registry 3 tells of the platform of an index's children, 2.8 does not. */
function withoutPlatform(event: ReceivedEvent): ReceivedEvent {
  const { references } = event.target
  if (references === undefined) return event
  const plain = references.map((one) => ({ ...(one as object), platform: undefined }))
  return JSON.parse(JSON.stringify({ ...event, target: { ...event.target, references: plain } })) as ReceivedEvent
}

describeWith(['docker-registry'], "notifications beside the original's", () => {
  test('the same events, field by field, indented the same way', async () => {
    const [theirs, ours] = [startReceiver(), startReceiver()]
    const notifications = (receiver: WebhookReceiver) => ({
      events: { includereferences: true },
      endpoints: [{ name: 'hook', url: receiver.url, headers: { 'X-Two': ['1', '2'] }, timeout: '5s' }],
    })
    const debian = await startDebianRegistry('none', undefined, { notifications: notifications(theirs) })
    const berth = await startRegistry({
      env: { REGISTRY_NOTIFICATIONS: JSON.stringify(notifications(ours)) },
    })
    try {
      const original = await walk(debian.url, theirs)
      const own = await walk(berth.url, ours)
      expect(own.map((event) => withoutPlatform(comparable(event, berth.url)))).toEqual(
        original.map((event) => comparable(event, debian.url)),
      )
      // Order of fields, spaces and the like, of what holds no numbers that differ.
      const shape = (text: string | undefined) => text?.replace(/: ("[^"]*"|\d+)/g, ': X')
      expect(shape(ours.accepted[2]?.text)).toBe(shape(theirs.accepted[2]?.text))
      const plain = ({ headers }: { headers: Record<string, string> } = { headers: {} }) => [
        headers['x-two'],
        headers['content-type'],
      ]
      expect(plain(theirs.accepted[0])).toEqual(['1, 2', 'application/vnd.docker.distribution.events.v1+json'])
      expect(plain(ours.accepted[0])).toEqual(['1, 2', 'application/vnd.docker.distribution.events.v2+json'])
    } finally {
      await Promise.all([debian.dispose(), berth.stop(), theirs.stop(), ours.stop()])
    }
  })
})
