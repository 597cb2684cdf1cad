import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Digest, isDigest } from '../oci/digest.ts'
import { isRepositoryName, isTag } from '../oci/name.ts'
import {
  ADOPTED_ROOT,
  type DistributionFile,
  isUploadId,
  linkText,
  parseLinkText,
  parsePath,
  pathOf,
} from './distribution-path.ts'

const HEX = 'ab'.repeat(32)
const DIGEST: Digest = `sha256:${HEX}`
const LONG: Digest = `sha512:${'cd'.repeat(64)}`
const V2 = 'docker/registry/v2'
const repository = 'team/app'
const upload = '0b3f0f4c-6d0c-4d36-a8f7-0a6c2f0d9d11'

describe('a file of the tree stands where registry:2 puts it', () => {
  const rows: [string, DistributionFile, string][] = [
    ['a blob', { kind: 'blob', digest: DIGEST }, `blobs/sha256/ab/${HEX}/data`],
    ['a blob by sha512', { kind: 'blob', digest: LONG }, `blobs/sha512/cd/${'cd'.repeat(64)}/data`],
    [
      'the link of a layer',
      { kind: 'layer', repository, digest: DIGEST },
      `repositories/team/app/_layers/sha256/${HEX}/link`,
    ],
    [
      'the link of a manifest',
      { kind: 'revision', repository, digest: DIGEST },
      `repositories/team/app/_manifests/revisions/sha256/${HEX}/link`,
    ],
    [
      'the link of a tag',
      { kind: 'current', repository, tag: 'v1.0' },
      'repositories/team/app/_manifests/tags/v1.0/current/link',
    ],
    [
      'what a tag pointed to',
      { kind: 'past', repository, tag: 'v1.0', digest: DIGEST },
      `repositories/team/app/_manifests/tags/v1.0/index/sha256/${HEX}/link`,
    ],
    [
      "a tag that is called as one of the tree's own folders",
      { kind: 'current', repository, tag: '_manifests' },
      'repositories/team/app/_manifests/tags/_manifests/current/link',
    ],
    [
      'the bytes of an upload',
      { kind: 'upload-data', repository, upload },
      `repositories/team/app/_uploads/${upload}/data`,
    ],
    [
      'the time of an upload',
      { kind: 'upload-start', repository, upload },
      `repositories/team/app/_uploads/${upload}/startedat`,
    ],
    [
      "an upload's hash",
      { kind: 'upload-hash', repository, upload, algorithm: 'sha256', offset: 1024 },
      `repositories/team/app/_uploads/${upload}/hashstates/sha256/1024`,
    ],
  ]
  test.each(rows)('%s', (_, file, path) => {
    expect(pathOf(file)).toBe(`${V2}/${path}`)
    expect(parsePath(`${V2}/${path}`)).toEqual(file)
  })

  test.each(rows)('%s, after repositories got another name', (_, file, path) => {
    const adopted = `${V2}/${path.replace(/^repositories/, 'repositories.berth')}`
    expect(pathOf(file, ADOPTED_ROOT)).toBe(adopted)
    expect(parsePath(adopted, ADOPTED_ROOT)).toEqual(file)
    if (file.kind !== 'blob') expect(parsePath(adopted)).toBeUndefined()
  })
})

describe('Berth has no word for', () => {
  const rows: [string, string][] = [
    ['a blob in the shard of another', `blobs/sha256/cd/${HEX}/data`],
    ['what registry:3 leaves when it is interrupted', `blobs/sha256/ab/${HEX}/data.0b3f0f4c.tmp`],
    ['a blob without a file', `blobs/sha256/ab/${HEX}`],
    ['a digest of an algorithm that it does not store', `blobs/sha384/ab/${'ab'.repeat(48)}/data`],
    ['a digest that is too short', `blobs/sha256/ab/${HEX.slice(2)}/data`],
    ['a digest in upper case', `blobs/sha256/AB/${HEX.toUpperCase()}/data`],
    ['a file deeper down', `blobs/sha256/ab/${HEX}/data/data`],
    ['a repository whose name no client may use', `repositories/Team/app/_layers/sha256/${HEX}/link`],
    ['a repository without a name', `repositories/_layers/sha256/${HEX}/link`],
    ['a way out of the tree', `repositories/../x/_layers/sha256/${HEX}/link`],
    ['another file beside a link', `repositories/a/_layers/sha256/${HEX}/link.tmp`],
    ['a tag that no client may use', 'repositories/a/_manifests/tags/-x/current/link'],
    ['a folder in place of a link', 'repositories/a/_manifests/tags/x/current'],
    ['a folder that is not of registry:2', `repositories/a/_other/sha256/${HEX}/link`],
    ['another folder of manifests', `repositories/a/_manifests/signatures/sha256/${HEX}/link`],
    ['an upload whose id leads elsewhere', 'repositories/a/_uploads/../data'],
    ['a hash at no number', 'repositories/a/_uploads/u/hashstates/sha256/1e3'],
    ['a hash at a negative number', 'repositories/a/_uploads/u/hashstates/sha256/-1'],
    ['a file in no folder of a repository', 'repositories/a/b/c'],
    ['another tree', 'other/a/_layers'],
    ['nothing', ''],
  ]
  test.each(rows)('%s', (_, path) => {
    expect(parsePath(`${V2}/${path}`)).toBeUndefined()
  })
})

describe("a link's text", () => {
  const rows: [string, string, Digest | undefined][] = [
    ['is the digest', DIGEST, DIGEST],
    ['may end in a line break', `${DIGEST}\n`, DIGEST],
    ['is no digest when it is empty', '', undefined],
    ['is no digest when it is cut short', DIGEST.slice(0, 40), undefined],
    ['is no digest when it is zeros', '\0'.repeat(71), undefined],
    ['is no digest when there is more', `${DIGEST}\n${DIGEST}`, undefined],
  ]
  test.each(rows)('%s', (_, text, digest) => {
    expect(parseLinkText(text)).toBe(digest)
    if (digest !== undefined) expect(parseLinkText(linkText(digest))).toBe(digest)
  })
})

test('every file has one path, which leads back to it', () => {
  const hex = fc.stringMatching(/^[a-f0-9]{64}$/)
  const digest = hex.map((text): Digest => `sha256:${text}`)
  const name = fc.stringMatching(/^[a-z0-9]{1,3}([._-][a-z0-9]{1,3})?(\/[a-z0-9]{1,3})?$/).filter(isRepositoryName)
  const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,9}$/).filter(isTag)
  const id = fc.stringMatching(/^[A-Za-z0-9_.=-]{1,9}$/).filter(isUploadId)
  const file: fc.Arbitrary<DistributionFile> = fc.oneof(
    fc.record({ kind: fc.constant('blob' as const), digest }),
    fc.record({ kind: fc.constantFrom('layer' as const, 'revision' as const), repository: name, digest }),
    fc.record({ kind: fc.constant('current' as const), repository: name, tag }),
    fc.record({ kind: fc.constant('past' as const), repository: name, tag, digest }),
    fc.record({ kind: fc.constantFrom('upload-data' as const, 'upload-start' as const), repository: name, upload: id }),
    fc.record({
      kind: fc.constant('upload-hash' as const),
      repository: name,
      upload: id,
      algorithm: fc.constant('sha256' as const),
      offset: fc.nat(),
    }),
  )
  fc.assert(
    fc.property(file, (entry) => expect(parsePath(pathOf(entry))).toEqual(entry)),
    { seed: 20_260_101 },
  )
})

test('any text is a path or not, without an error, and what is one is built the same', () => {
  const part = fc.oneof(
    fc.constantFrom('docker/registry/v2/repositories', 'docker/registry/v2/blobs', '_layers', '_manifests', 'tags'),
    fc.constantFrom('revisions', 'current', 'index', 'link', 'data', 'sha256', 'ab', HEX, '_uploads', 'a', '..', ''),
    fc.string({ maxLength: 5 }),
  )
  const path = fc.array(part, { maxLength: 9 }).map((parts) => parts.join('/'))
  fc.assert(
    fc.property(path, (text) => {
      const file = parsePath(text)
      if (file !== undefined) expect(pathOf(file)).toBe(text)
      expect(parseLinkText(text) === undefined || isDigest(text.trim())).toBe(true)
    }),
    { numRuns: 2000, seed: 20_260_101 },
  )
})
