import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import {
  bytesOf,
  codesOf,
  descriptorOf,
  imageManifest,
  indexOf,
  must,
  nextOf,
  pushBlob,
  pushManifest,
  putManifest,
} from './content.ts'
import { type Answer, ask } from './exchange.ts'

const { ociManifest, ociIndex, ociEmpty } = MEDIA_TYPES
const SIGNATURE = 'application/vnd.example.signature'
const SBOM = 'application/vnd.example.sbom+json'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({ env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
  port = registry.port
  for (const content of ['config', 'layer', '{}']) await pushBlob(port, 'app', content)
})
afterAll(() => registry.stop())

const subjectText = imageManifest('config', ['layer'])
const subject = descriptorOf(ociManifest, subjectText)

/** An artifact that refers to `to`. */
function artifact(to: Descriptor, more: Record<string, unknown> = {}): string {
  return imageManifest('{}', [], { config: descriptorOf(ociEmpty, '{}'), subject: to, ...more })
}

const list = (digest: string, query = '', repository = 'app') =>
  ask(port, 'GET', `/v2/${repository}/referrers/${digest}${query}`)

/** The descriptors of a list, having checked that it is an index. */
function listed(answer: Answer): Descriptor[] {
  expect(answer.status).toBe(200)
  expect(answer.headers['content-type']).toBe(ociIndex)
  const index = JSON.parse(answer.text) as { schemaVersion: number; mediaType: string; manifests: Descriptor[] }
  expect(Object.keys(index)).toEqual(['schemaVersion', 'mediaType', 'manifests'])
  expect(index).toMatchObject({ schemaVersion: 2, mediaType: ociIndex })
  return index.manifests
}

const byDigest = (a: Descriptor, b: Descriptor) => (a.digest < b.digest ? -1 : 1)

describe('OCI Distribution Specification 1.1, "Listing Referrers" (end-12a, end-12b)', () => {
  const signature = artifact(subject, { artifactType: SIGNATURE, annotations: { 'org.example': 'by me' } })
  const sbom = artifact(subject, { artifactType: SBOM })
  const plain = imageManifest('config', ['layer'], { subject })
  const list1 = indexOf([], { subject, artifactType: SBOM })
  const expected: Descriptor[] = [
    { ...descriptorOf(ociManifest, signature), artifactType: SIGNATURE, annotations: { 'org.example': 'by me' } },
    { ...descriptorOf(ociManifest, sbom), artifactType: SBOM },
    // Without an artifactType of its own it has its config's media type.
    { ...descriptorOf(ociManifest, plain), artifactType: 'application/vnd.oci.image.config.v1+json' },
    { ...descriptorOf(ociIndex, list1), artifactType: SBOM },
  ].sort(byDigest)

  beforeAll(async () => {
    // The subject comes last: nothing asks it to be there first.
    for (const [tag, text, type] of [
      ['sig', signature, ociManifest],
      ['sbom', sbom, ociManifest],
      ['plain', plain, ociManifest],
      ['list', list1, ociIndex],
    ] as const) {
      const answer = await must(201, putManifest(port, 'app', tag, text, type))
      expect(answer.headers['oci-subject']).toBe(subject.digest)
    }
    const answer = await must(201, putManifest(port, 'app', 'latest', subjectText))
    expect(answer.headers['oci-subject']).toBeUndefined()
  })

  test('lists what refers to a digest, in the order of digests', async () => {
    const answer = await list(subject.digest)
    expect(listed(answer)).toEqual(expected)
    expect(answer.headers['oci-filters-applied']).toBeUndefined()
    expect(answer.headers.link).toBeUndefined()
    const head = await ask(port, 'HEAD', `/v2/app/referrers/${subject.digest}`)
    expect(head).toMatchObject({ status: 200, text: '' })
    expect(head.headers).toMatchObject({ 'content-type': ociIndex, 'content-length': String(answer.body.length) })
  })

  test.each([
    ['one type', SIGNATURE, (found: Descriptor) => found.artifactType === SIGNATURE],
    ['a type with a plus, encoded', SBOM, (found: Descriptor) => found.artifactType === SBOM],
    ['a type that nothing has', 'application/nothing', () => false],
  ])('filters by %s, and says so', async (_, type, keep) => {
    const answer = await list(subject.digest, `?artifactType=${encodeURIComponent(type)}`)
    expect(listed(answer)).toEqual(expected.filter(keep))
    expect(answer.headers['oci-filters-applied']).toBe('artifactType')
  })

  test.each(['?artifactType=', '?unknown=x'])('%s is no filter', async (query) => {
    const answer = await list(subject.digest, query)
    expect(listed(answer)).toEqual(expected)
    expect(answer.headers['oci-filters-applied']).toBeUndefined()
  })

  test.each([
    ['a digest that nobody knows', 'app', `sha256:${'0'.repeat(64)}`],
    ['a sha512 digest that nobody knows', 'app', `sha512:${'0'.repeat(128)}`],
    ['a digest whose referrers are in another repository', 'other', subject.digest],
    ['a repository that is not there', 'no/where', subject.digest],
  ])('%s has an empty list, never 404', async (_, repository, digest) => {
    expect(listed(await list(digest, '', repository))).toEqual([])
  })

  test.each(['latest', 'sha256:abc', `md5:${'0'.repeat(32)}`, `sha256:${'A'.repeat(64)}`])(
    '%s is no digest',
    async (digest) => {
      const answer = await list(digest)
      expect(answer.status).toBe(400)
      expect(codesOf(answer)).toEqual(['DIGEST_INVALID'])
    },
  )

  test('a referrer that is deleted is no longer listed; one whose subject is deleted stays', async () => {
    const other = descriptorOf(ociManifest, 'another subject')
    const one = artifact(other, { artifactType: SIGNATURE, annotations: { n: '1' } })
    const two = artifact(other, { artifactType: SIGNATURE, annotations: { n: '2' } })
    const digests = [await pushManifest(port, 'app', 'one', one), await pushManifest(port, 'app', 'two', two)]
    expect(listed(await list(other.digest)).map(({ digest }) => digest)).toEqual(digests.toSorted())
    // Taking its tag away leaves it.
    await must(202, ask(port, 'DELETE', '/v2/app/manifests/one'))
    expect(listed(await list(other.digest))).toHaveLength(2)
    await must(202, ask(port, 'DELETE', `/v2/app/manifests/${digests[0]}`))
    expect(listed(await list(other.digest)).map(({ digest }) => digest)).toEqual([digests[1] as Digest])
  })
})

describe('"Referrers Tag Schema": what clients kept under the fallback tag', () => {
  const older = descriptorOf(ociManifest, 'an image of old')
  const tag = older.digest.replace(':', '-')
  const entry = (note: string, artifactType: string): Descriptor => ({
    ...descriptorOf(ociManifest, note),
    artifactType,
    annotations: { note },
  })
  const known = artifact(older, { artifactType: SIGNATURE })
  const knownEntry = { ...descriptorOf(ociManifest, known), artifactType: SIGNATURE }
  const kept = [entry('kept', SIGNATURE), entry('too', SBOM)]

  test('is listed besides, once each', async () => {
    const loose = await startRegistry({ env: { REGISTRY_VALIDATION_DISABLED: 'true' } })
    try {
      await pushManifest(loose.port, 'app', 'known', known)
      const stale = { ...knownEntry, annotations: { stale: 'yes' } }
      await pushManifest(loose.port, 'app', tag, indexOf([...kept, stale]), ociIndex)
      const all = await ask(loose.port, 'GET', `/v2/app/referrers/${older.digest}`)
      expect(listed(all)).toEqual([...kept, knownEntry].sort(byDigest))
      const filtered = await ask(loose.port, 'GET', `/v2/app/referrers/${older.digest}?artifactType=${SIGNATURE}`)
      expect(listed(filtered)).toEqual([entry('kept', SIGNATURE), knownEntry].sort(byDigest))
    } finally {
      await loose.stop()
    }
  })

  test('a tag of that name that is no index is left alone', async () => {
    const loose = await startRegistry({ env: { REGISTRY_VALIDATION_DISABLED: 'true' } })
    try {
      await pushManifest(loose.port, 'app', tag, subjectText)
      expect(listed(await ask(loose.port, 'GET', `/v2/app/referrers/${older.digest}`))).toEqual([])
    } finally {
      await loose.stop()
    }
  })
})

describe('pages', () => {
  const crowd = descriptorOf(ociManifest, 'with a crowd')
  const texts = Array.from({ length: 1003 }, (_, index) =>
    artifact(crowd, { artifactType: index % 2 === 0 ? SIGNATURE : SBOM, annotations: { index: String(index) } }),
  )

  async function walk(path: string): Promise<{ found: string[]; pages: number; filters: (string | undefined)[] }> {
    const found: string[] = []
    const filters: (string | undefined)[] = []
    let next: string | undefined = path
    let pages = 0
    for (; next !== undefined && pages < 20; pages++) {
      const answer = await ask(port, 'GET', next)
      const digests = listed(answer).map(({ digest }) => digest)
      expect(digests.length).toBeLessThanOrEqual(500)
      found.push(...digests)
      filters.push(answer.headers['oci-filters-applied'])
      next = nextOf(answer)
    }
    expect(next).toBeUndefined()
    return { found, pages, filters }
  }

  beforeAll(async () => {
    for (let at = 0; at < texts.length; at += 50) {
      await Promise.all(
        texts.slice(at, at + 50).map((text) => must(201, putManifest(port, 'app', digestOf(bytesOf(text)), text))),
      )
    }
  }, 180_000)

  test('followed to the end hold everything once, in order', async () => {
    const { found, pages } = await walk(`/v2/app/referrers/${crowd.digest}`)
    expect(found).toEqual(texts.map((text) => digestOf(bytesOf(text))).sort())
    expect(pages).toBe(3)
  })

  test('keep their filter', async () => {
    const { found, pages, filters } = await walk(
      `/v2/app/referrers/${crowd.digest}?artifactType=${encodeURIComponent(SBOM)}`,
    )
    const wanted = texts.filter((text) => text.includes(SBOM)).map((text) => digestOf(bytesOf(text)))
    expect(found).toEqual(wanted.sort())
    expect(filters).toEqual(Array.from({ length: pages }, () => 'artifactType'))
  })

  test('stay below the 4 MiB that a client takes, however large the annotations are', async () => {
    const large = descriptorOf(ociManifest, 'with large annotations')
    const many = Array.from({ length: 9 }, (_, index) =>
      artifact(large, { artifactType: SBOM, annotations: { index: String(index), text: 'x'.repeat(1_000_000) } }),
    )
    for (const text of many) await must(201, putManifest(port, 'app', digestOf(bytesOf(text)), text))
    const { found, pages } = await walk(`/v2/app/referrers/${large.digest}`)
    expect(found).toEqual(many.map((text) => digestOf(bytesOf(text))).sort())
    expect(pages).toBeGreaterThan(2)
  })
})
