import { describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry } from '../start-registry.ts'
import { codesOf, imageManifest, indexOf, pushBlob, pushImage, putManifest } from './content.ts'
import { type Answer, ask } from './exchange.ts'

const absent = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf(Buffer.from('no')), size: 2 }
const child = (os: string) => indexOf([{ ...absent, platform: { os, architecture: 'amd64' } }])
const INDEX = 'application/vnd.oci.image.index.v1+json'

/** What a registry that was started with these variables alone does. */
const rows: [
  sentence: string,
  env: Record<string, string>,
  exchange: (port: number) => Promise<Answer>,
  seen: (answer: Answer) => unknown,
  expected: unknown,
][] = [
  [
    'read-only: an upload is refused',
    { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' },
    (port) => ask(port, 'POST', '/v2/app/blobs/uploads/'),
    (answer) => [answer.status, codesOf(answer)],
    [405, ['UNSUPPORTED']],
  ],
  [
    'read-only, as the original wants it written',
    { REGISTRY_STORAGE_MAINTENANCE: '{"readonly":{"enabled":true}}' },
    (port) => putManifest(port, 'app', 'tag', imageManifest('config', ['layer'])),
    (answer) => [answer.status, codesOf(answer)],
    [405, ['UNSUPPORTED']],
  ],
  [
    'without deletion a tag stays',
    { REGISTRY_STORAGE_DELETE_ENABLED: 'false' },
    (port) => ask(port, 'DELETE', '/v2/app/manifests/tag'),
    (answer) => [answer.status, codesOf(answer)],
    [405, ['UNSUPPORTED']],
  ],
  [
    'headers are on every answer',
    { 'REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin': '["*"]', 'REGISTRY_HTTP_HEADERS_X-Two': '[a, b]' },
    (port) => ask(port, 'GET', '/v2/'),
    ({ all }) => [all['access-control-allow-origin'], all['x-two']],
    [['*'], ['a, b']],
  ],
  [
    'a prefix is part of every path and Location',
    { REGISTRY_HTTP_PREFIX: '/r/', REGISTRY_HTTP_RELATIVEURLS: 'true' },
    (port) => ask(port, 'POST', '/r/v2/app/blobs/uploads/'),
    ({ status, headers }) => [status, headers.location?.startsWith('/r/v2/app/blobs/uploads/')],
    [202, true],
  ],
  [
    'the external base URL',
    { REGISTRY_HTTP_HOST: 'https://registry.example' },
    (port) => ask(port, 'POST', '/v2/app/blobs/uploads/'),
    ({ headers }) => headers.location?.startsWith('https://registry.example/v2/app/blobs/uploads/'),
    true,
  ],
  [
    'a page of the catalog',
    { REGISTRY_CATALOG_MAXENTRIES: '1' },
    async (port) => {
      for (const name of ['a', 'b']) await pushImage(port, name, 'tag')
      return await ask(port, 'GET', '/v2/_catalog')
    },
    ({ text }) => JSON.parse(text),
    { repositories: ['a'] },
  ],
  [
    'a page of tags',
    { REGISTRY_TAGS_MAXTAGS: '1' },
    async (port) => {
      for (const name of ['a', 'b']) await pushImage(port, 'app', name)
      return await ask(port, 'GET', '/v2/app/tags/list?n=5')
    },
    ({ text }) => JSON.parse(text),
    { name: 'app', tags: ['a'] },
  ],
  [
    'without validation a manifest may name what is not there',
    { REGISTRY_VALIDATION_DISABLED: 'true' },
    (port) => putManifest(port, 'app', 'tag', imageManifest('config', ['layer'])),
    ({ status }) => status,
    201,
  ],
  [
    'an index may name what is not there',
    { REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS: 'none' },
    (port) => putManifest(port, 'app', 'tag', child('linux'), INDEX),
    ({ status }) => status,
    201,
  ],
  [
    'an index must have the platforms of a list',
    {
      REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS: 'list',
      REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS: 'linux',
      REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE: 'amd64',
    },
    (port) => putManifest(port, 'app', 'tag', child('linux'), INDEX),
    (answer) => [answer.status, codesOf(answer)],
    [400, ['MANIFEST_BLOB_UNKNOWN']],
  ],
  [
    'a cache of one blob serves two',
    { REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'inmemory', REGISTRY_STORAGE_CACHE_BLOBDESCRIPTORSIZE: '1' },
    async (port) => {
      const [one, two] = [await pushBlob(port, 'app', 'one'), await pushBlob(port, 'app', 'two')]
      for (const digest of [one, two, one]) await ask(port, 'GET', `/v2/app/blobs/${digest}`)
      return await ask(port, 'GET', `/v2/app/blobs/${two}`)
    },
    ({ text }) => text,
    'two',
  ],
]

describe('a registry of variables alone', () => {
  test.each(rows)('%s', async (_, env, exchange, seen, expected) => {
    const registry = await startRegistry({ env })
    try {
      expect(seen(await exchange(registry.port))).toEqual(expected)
    } finally {
      await registry.stop()
    }
  })
})
