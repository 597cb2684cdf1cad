import { afterAll, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, imageManifest, pushImage } from './content.ts'
import { type Ask, ask } from './exchange.ts'
import { faultsIn } from './expectations.ts'
import { startTokenRegistry } from './token-registry.ts'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({ env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
  port = registry.port
  await pushImage(port, 'app', 'latest', 'x')
})
afterAll(() => registry.stop())

const digest = digestOf(bytesOf('layer x'))
const manifest = imageManifest('config x', ['layer x'])

/** What may stand in a request line: no white space, which would end it. */
const wild = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map((text) => text.replace(/[\p{Z}\p{Cc}\p{C}#]/gu, '%'))
  .map((text) =>
    Buffer.from(text)
      .toString('latin1')
      .replace(/[^!-~\u00a1-\u00ff]/g, '%'),
  )

const word = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      'app',
      'a/b',
      'latest',
      digest,
      'sha256:x',
      'none',
      'A',
      '..',
      '%2f',
      '%00',
      '',
      '_catalog',
    ),
  },
  { weight: 2, arbitrary: wild },
)
const verb = fc.constantFrom('manifests', 'blobs', 'blobs/uploads', 'tags', 'referrers', 'uploads', '_catalog', 'x')
const path = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(word, verb, word).map((parts) => `/v2/${parts.join('/')}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('/', '/v2', '/v2/', '/v2/_catalog', '/v2/app/tags/list', '/v2/app/blobs/uploads/'),
  },
  { weight: 1, arbitrary: wild.map((text) => `/${text}`) },
)
const parameter = fc.tuple(
  fc.constantFrom('n', 'last', 'digest', 'mount', 'from', 'tag', 'artifactType', 'digest-algorithm', '_state'),
  fc.oneof(
    fc.constantFrom('0', '1', '-1', '1e9', digest, 'app', 'sha512', '%ff'),
    wild.map((text) => text.replaceAll('&', '%26')),
  ),
)
const query = fc
  .array(parameter, { maxLength: 3 })
  .map((pairs) => (pairs.length === 0 ? '' : `?${pairs.map((pair) => pair.join('=')).join('&')}`))
const headerValue = fc.oneof(
  fc.constantFrom(
    '*/*',
    '*',
    'bytes=0-',
    'bytes=-1',
    '0-4',
    'bytes 0-4/*',
    `"${digest}"`,
    'Bearer x',
    'Basic eDp5',
    'https',
    'a.example',
    ...Object.values(MEDIA_TYPES),
  ),
  fc.string({ unit: 'binary', maxLength: 30 }).map((text) => text.replace(/[^\t -~]/gu, '?')),
)
const headers = fc.dictionary(
  fc.constantFrom(
    'Accept',
    'Range',
    'If-Range',
    'If-None-Match',
    'Content-Range',
    'Content-Type',
    'Authorization',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-For',
    'Forwarded',
    'Origin',
    'Expect',
    'User-Agent',
    'Referer',
  ),
  headerValue,
  { maxKeys: 4 },
)
const body = fc.oneof(
  fc.constant(undefined),
  fc.constantFrom(
    '',
    'layer x',
    manifest,
    manifest.slice(1),
    '[]',
    '{"schemaVersion":2}',
    '{"schemaVersion":2,"config":{}}',
  ),
  fc.json({ maxDepth: 4 }),
  fc.uint8Array({ maxLength: 100 }),
)
const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')

/** Asks `runs` times for anything; every answer must be one that the specification knows. */
async function bombard(target: TestRegistry, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(method, path, query, headers, body, async (verbOf, resource, search, fields, content) => {
      const { Expect: expectation, ...others } = fields
      const options: Ask = {
        headers: expectation === undefined ? others : { ...others, Expect: '100-continue' },
        ...(content === undefined ? {} : { body: content }),
      }
      const answer = await ask(target.port, verbOf, `${resource}${search}`, options)
      expect(answer.status).toBeGreaterThanOrEqual(200)
      expect(answer.status).toBeLessThan(500)
      const isOurs = answer.headers['docker-distribution-api-version'] === 'registry/2.0'
      // The runtime itself refuses what is no HTTP.
      if (!isOurs) expect([400, 431]).toContain(answer.status)
      const isError = answer.status >= 400 && answer.headers['content-type']?.startsWith('application/json')
      if (!isError || verbOf === 'HEAD') return
      const { errors } = JSON.parse(answer.text) as { errors: { code: string; message: string }[] }
      expect(errors.length).toBeGreaterThan(0)
      for (const { code, message } of errors) {
        expect(code).toMatch(/^[A-Z_]+$/)
        expect(message).toBeTruthy()
      }
    }),
    { numRuns: runs, seed: 20_250_101, endOnFailure: true },
  )
  expect(faultsIn(target.log)).toEqual([])
}

test('whatever is asked: an answer below 500, in the words of the specification', async () => {
  await bombard(registry, 2000)
}, 180_000)

test('the same of a registry that asks for tokens', async () => {
  const tokens = await startTokenRegistry()
  try {
    await bombard(tokens.registry, 500)
  } finally {
    await tokens.stop()
  }
}, 180_000)
