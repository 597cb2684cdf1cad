import { beforeEach, describe, expect, test } from 'bun:test'
import type { Digest } from '../oci/digest.ts'
import { digest, type Opened, pushBlob, putManifest, REPOSITORY, referrersOf } from './examples.suite.ts'
import type { Metadata, Page } from './metadata.ts'

/** In the order of their bytes, which is not that of any language. */
export const NAMES = ['A', 'B', '_', 'a', 'a-', 'a-b', 'a.b', 'a0', 'a10', 'a2', 'aB', 'a_b', 'aa', 'b'].sort()
const REPOSITORIES = [
  '0',
  'a',
  'a-b',
  'a-b/c',
  'a.b',
  'a/b',
  'a/b-c',
  'a/b/c',
  'a0',
  'a10',
  'a2',
  'a_b',
  'aa',
  'b',
].sort()

/** Reads the list in pages of every size; whole pages alone, and one past the end. */
export async function expectPages(
  expected: string[],
  list: (page: Page) => Promise<string[] | undefined>,
): Promise<void> {
  for (const limit of [1, 2, expected.length - 1, expected.length, expected.length + 1, 5000]) {
    const pages: string[] = []
    let last: string | undefined
    for (let turn = 0; turn <= expected.length; turn++) {
      const page: string[] = (await list({ last, limit })) ?? []
      pages.push(...page)
      if (page.length < limit) break
      last = page.at(-1)
    }
    expect(pages).toEqual(expected)
  }
  expect(await list({ limit: 0 })).toEqual([])
  expect(await list({ last: expected.at(-1), limit: 10 })).toEqual([])
  // A page may start after a name that is not, or no longer, there.
  expect(await list({ last: '', limit: 1 })).toEqual(expected.slice(0, 1))
  expect(await list({ last: `${expected[0]}!`, limit: 1 })).toEqual(expected.slice(1, 2))
}

export function listsSuite(opened: () => Opened): void {
  let metadata: Metadata

  beforeEach(() => {
    metadata = opened().metadata
  })

  describe('repositories', () => {
    test('are listed in byte order, page by page', async () => {
      for (const repository of [...REPOSITORIES].reverse()) await putManifest(metadata, 'image', { repository })
      await expectPages(REPOSITORIES, metadata.repositories.list)
    })

    test('one exists from its first blob on, and is listed while it has a manifest', async () => {
      const state = async () => ({
        exists: await metadata.repositories.exists(REPOSITORY),
        isListed: await metadata.repositories.isListed(REPOSITORY),
        list: await metadata.repositories.list({ limit: 10 }),
      })
      expect(await state()).toEqual({ exists: false, isListed: false, list: [] })
      await pushBlob(metadata, 'layer')
      expect(await state()).toEqual({ exists: true, isListed: false, list: [] })
      await putManifest(metadata, 'one', { tags: ['v1'] })
      await putManifest(metadata, 'two')
      expect(await state()).toEqual({ exists: true, isListed: true, list: [REPOSITORY] })
      await metadata.tags.delete(REPOSITORY, 'v1', { now: 2, actor: '' })
      await metadata.manifests.delete(REPOSITORY, digest('one'), { now: 2, actor: '' })
      expect(await state()).toEqual({ exists: true, isListed: true, list: [REPOSITORY] })
      await metadata.manifests.delete(REPOSITORY, digest('two'), { now: 2, actor: '' })
      expect(await state()).toEqual({ exists: true, isListed: false, list: [] })
      expect(await metadata.tags.list(REPOSITORY, { limit: 10 })).toEqual([])
      await putManifest(metadata, 'one')
      expect(await state()).toEqual({ exists: true, isListed: true, list: [REPOSITORY] })
    })

    test('a put beside the delete of the last manifest leaves the list true', async () => {
      for (let round = 0; round < 10; round++) {
        const repository = `team/r${round}`
        await putManifest(metadata, 'old', { repository })
        await Promise.all([
          metadata.manifests.delete(repository, digest('old'), { now: 2, actor: '' }),
          putManifest(metadata, 'new', { repository }),
        ])
        expect(await metadata.repositories.isListed(repository)).toBe(true)
      }
    })
  })

  test('tags are listed in byte order, page by page', async () => {
    await putManifest(metadata, 'image', { tags: [...NAMES].reverse() })
    await putManifest(metadata, 'image', { tags: ['x'], repository: 'team/other' })
    await expectPages(NAMES, (page) => metadata.tags.list(REPOSITORY, page))
  })

  describe('referrers', () => {
    const subject = digest('subject')

    test('are the manifests with that subject in that repository, by digest, page by page', async () => {
      const texts = Array.from({ length: 9 }, (_, index) => `signature ${index}`)
      for (const text of texts) await putManifest(metadata, text, { subject })
      await putManifest(metadata, 'elsewhere', { subject, repository: 'team/other' })
      await putManifest(metadata, 'of another', { subject: digest('another') })
      await putManifest(metadata, 'of none')
      await expectPages(texts.map(digest).sort(), async (page) =>
        (await referrersOf(metadata, REPOSITORY, subject, undefined, page)).map((entry) => entry.digest),
      )
    })

    test('of one artifact type come page by page too', async () => {
      const texts = Array.from({ length: 6 }, (_, index) => `signature ${index}`)
      for (const [index, text] of texts.entries()) {
        await putManifest(metadata, text, { subject, artifactType: index % 2 === 0 ? 'text/a' : 'text/b' })
      }
      const expected = texts
        .filter((_, index) => index % 2 === 0)
        .map(digest)
        .sort()
      await expectPages(expected, async (page) =>
        (await referrersOf(metadata, REPOSITORY, subject, 'text/a', page)).map((entry) => entry.digest),
      )
      expect(await referrersOf(metadata, REPOSITORY, subject, 'text/none', { limit: 10 })).toEqual([])
    })

    test('carry artifact type and annotations where the manifest has them', async () => {
      const annotations = { 'org.example.ä': 'ö "quoted"' }
      await putManifest(metadata, 'plain', { subject })
      await putManifest(metadata, 'full', { subject, artifactType: 'text/a', annotations, mediaType: 'text/m' })
      const entries = new Map<Digest, unknown>()
      for (const entry of await referrersOf(metadata, REPOSITORY, subject, undefined, { limit: 10 })) {
        entries.set(entry.digest, entry)
      }
      expect(entries.get(digest('plain'))).toStrictEqual({
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: digest('plain'),
        size: 5,
      })
      expect(entries.get(digest('full'))).toStrictEqual({
        mediaType: 'text/m',
        digest: digest('full'),
        size: 4,
        artifactType: 'text/a',
        annotations,
      })
    })

    test('with large annotations end a page early, and come all the same', async () => {
      const texts = ['a', 'b', 'c', 'd']
      for (const text of texts)
        await putManifest(metadata, text, { subject, annotations: { x: 'y'.repeat(1_500_000) } })
      const first = await metadata.referrers.list(REPOSITORY, subject, undefined, { limit: 10 })
      expect(first).toMatchObject({ more: true })
      expect(first.descriptors.length).toBeLessThan(4)
      const last = first.descriptors.at(-1)?.digest
      const second = await metadata.referrers.list(REPOSITORY, subject, undefined, { last, limit: 10 })
      expect(second).toMatchObject({ more: false })
      const found = [...first.descriptors, ...second.descriptors].map((entry) => entry.digest)
      expect(found).toEqual(texts.map(digest).sort())
    })

    test('need neither the subject nor the repository to exist, and go with their manifest', async () => {
      expect(await referrersOf(metadata, REPOSITORY, subject, undefined, { limit: 10 })).toEqual([])
      await putManifest(metadata, 'signature', { subject })
      expect(await referrersOf(metadata, REPOSITORY, subject, undefined, { limit: 10 })).toHaveLength(1)
      await metadata.manifests.delete(REPOSITORY, digest('signature'), { now: 2, actor: '' })
      expect(await referrersOf(metadata, REPOSITORY, subject, undefined, { limit: 10 })).toEqual([])
    })
  })
}
