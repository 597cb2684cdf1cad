import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import {
  bytesOf,
  codesOf,
  DOCKER_IMAGE,
  descriptorOf,
  errorsOf,
  imageManifest,
  indexOf,
  pushBlob,
  pushManifest,
} from './content.ts'
import { ask } from './exchange.ts'
import { expectManifest } from './expectations.ts'

const { ociManifest, ociIndex, dockerManifest, dockerList } = MEDIA_TYPES

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

describe('Accept (RFC 9110 section 12.5.1)', () => {
  const index = indexOf(
    [
      { ...descriptorOf(ociManifest, imageManifest('config', [])), platform: { os: 'linux', architecture: 'arm64' } },
      { ...descriptorOf(dockerManifest, DOCKER_IMAGE), platform: { os: 'linux', architecture: 'amd64' } },
    ],
    { mediaType: dockerList },
  )
  const withoutDefault = indexOf([
    { ...descriptorOf(ociManifest, imageManifest('config', [])), platform: { os: 'linux', architecture: 'arm64' } },
  ])
  beforeAll(async () => {
    for (const content of ['config', 'layer']) await pushBlob(port, 'accept', content)
    await pushManifest(port, 'accept', 'oci', image)
    await pushManifest(port, 'accept', 'arm', imageManifest('config', []))
    await pushManifest(port, 'accept', 'docker', DOCKER_IMAGE, dockerManifest)
    await pushManifest(port, 'accept', 'list', index, dockerList)
    await pushManifest(port, 'accept', 'index', withoutDefault, ociIndex)
  })

  const rows: [string, string, string, string | undefined, string][] = [
    ['an OCI manifest, asked for', 'oci', ociManifest, image, ociManifest],
    ['among others', 'oci', `${dockerManifest}, ${ociManifest}, ${ociIndex}`, image, ociManifest],
    ['in capitals', 'oci', ociManifest.toUpperCase(), image, ociManifest],
    ['with a quality', 'oci', `${dockerManifest}, ${ociManifest};q=0.1`, image, ociManifest],
    ['with anything', 'oci', '*/*', image, ociManifest],
    ['with any application type', 'oci', 'text/html, application/*;q=0.2', image, ociManifest],
    ['with nothing that can be read', 'oci', 'garbage', image, ociManifest],
    ['with an empty header', 'oci', '', image, ociManifest],
    ['refused by quality 0', 'oci', `${ociManifest};q=0, */*`, undefined, ''],
    ['not asked for', 'oci', dockerManifest, undefined, ''],
    [
      "Docker's manifest, not asked for: what every client can read",
      'docker',
      ociManifest,
      DOCKER_IMAGE,
      dockerManifest,
    ],
    ['a list, asked for', 'list', dockerList, index, dockerList],
    ['a list by a client that knows none: linux/amd64 of it', 'list', dockerManifest, DOCKER_IMAGE, dockerManifest],
    [
      'an index without linux/amd64 by a client that knows none',
      'index',
      `${dockerManifest}, ${ociManifest}`,
      undefined,
      '',
    ],
  ]
  test.each(rows)('%s', async (_, tag, accept, text, mediaType) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await get(tag, { Accept: accept }, method, 'accept')
      if (text !== undefined) expectManifest(answer, text, mediaType, method === 'GET')
      else {
        expect(answer.status).toBe(404)
        if (method === 'GET') {
          expect(codesOf(answer)).toEqual(['MANIFEST_UNKNOWN'])
          expect(errorsOf(answer)[0]?.message).toMatch(
            /^OCI (manifest|index) found, but accept header does not support OCI (manifests|indexes)$/,
          )
        }
      }
    }
  })

  test('several headers are one list', async () => {
    const answer = await ask(port, 'GET', '/v2/accept/manifests/oci', { headers: { Accept: ['a/b', ociManifest] } })
    expectManifest(answer, image)
  })

  test('by digest a list stays a list: the bytes must be those of the digest', async () => {
    const answer = await get(digestOf(bytesOf(index)), { Accept: dockerManifest }, 'GET', 'accept')
    expect(answer.status).toBe(404)
    expect(codesOf(answer)).toEqual(['MANIFEST_UNKNOWN'])
  })

  const etag = `"${digestOf(bytesOf(image))}"`
  test.each([
    ['the entity tag', etag, 304],
    ['a weak one in a list', `"x", W/${etag}`, 304],
    ['the digest itself', digestOf(bytesOf(image)), 304],
    ['any', '*', 304],
    ['another', '"sha256:0"', 200],
  ])('If-None-Match with %s', async (_, value, status) => {
    const answer = await get('oci', { 'If-None-Match': value }, 'GET', 'accept')
    expect(answer).toMatchObject({ status, text: status === 200 ? image : '' })
    expect(answer.headers).toMatchObject({ etag, 'docker-content-digest': digestOf(bytesOf(image)) })
  })
})

describe('what is not there', () => {
  const elsewhere = digestOf(bytesOf(image))
  const none = `sha256:${'0'.repeat(64)}`
  test.each([
    ['a tag', 'app', 'nope', 'unknown tag=nope'],
    ['a digest', 'app', none, `unknown manifest name=app revision=${none}`],
    ['a tag of a repository that is not there', 'nowhere', 'latest', 'unknown tag=latest'],
    ['a digest that is in another repository', 'app', elsewhere, `unknown manifest name=app revision=${elsewhere}`],
    ['a tag that is no tag', 'app', '-x', 'unknown tag=-x'],
    ['a digest that is no digest', 'app', 'sha256:abc', 'unknown tag=sha256:abc'],
  ])('%s', async (_, repository, reference, detail) => {
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const answer = await get(reference, {}, method, repository)
      expect([method, answer.status]).toEqual([method, 404])
      if (method === 'HEAD') continue
      expect(answer.text).toBe(
        `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":"${detail}"}]}\n`,
      )
    }
  })
})
