import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import {
  CONFIG,
  descriptorOf,
  errorsOf,
  imageManifest,
  indexOf,
  pushBlob,
  pushManifest,
  putManifest,
} from './content.ts'
import { bearer, createIssuer, type Issuer, tokenOf, trusting } from './issuer.ts'

const { dockerManifest, ociManifest, ociIndex } = MEDIA_TYPES
const PLUGIN = 'application/vnd.docker.plugin.v1+json'
const IMAGE = 'application/vnd.docker.container.image.v1+json'

const docker = (config: string) =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: dockerManifest,
    config: descriptorOf(config, 'config'),
    layers: [descriptorOf('application/vnd.docker.image.rootfs.diff.tar.gzip', 'layer')],
  })
const oci = (config: string) => imageManifest('config', ['layer'], { config: descriptorOf(config, 'config') })

/** Messages as the original's `handlers/manifests.go` has them. */
const rows: [sentence: string, type: string, text: string, refused: string | undefined][] = [
  ['an image of Docker', dockerManifest, docker(IMAGE), undefined],
  ['an image of OCI', ociManifest, oci(CONFIG), undefined],
  ['a plugin', dockerManifest, docker(PLUGIN), 'registry does not allow plugin manifest'],
  [
    'an artifact',
    ociManifest,
    oci('application/vnd.oci.empty.v1+json'),
    'unknown manifest class for application/vnd.oci.empty.v1+json',
  ],
  [
    'a plugin in a manifest of OCI, which has no such class',
    ociManifest,
    oci(PLUGIN),
    `unknown manifest class for ${PLUGIN}`,
  ],
  ['an index, which has no class', ociIndex, indexOf([]), undefined],
]

describe('with policy.repository.classes: [image] may be pushed', () => {
  let registry: TestRegistry
  beforeAll(async () => {
    registry = await startRegistry({ env: { REGISTRY_POLICY_REPOSITORY_CLASSES: '[image]' } })
    for (const content of ['config', 'layer']) await pushBlob(registry.port, 'app', content)
  })
  afterAll(() => registry.stop())

  test.each(rows)('%s, or not', async (_, type, text, refused) => {
    const answer = await putManifest(registry.port, 'app', 'tag', text, type)
    if (refused === undefined) {
      expect(answer.status).toBe(201)
      return
    }
    expect([answer.status, errorsOf(answer)]).toEqual([403, [{ code: 'DENIED', message: refused }]])
  })
})

describe('a token says the class of its repository', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
  let issuer: Issuer
  let registry: TestRegistry
  const entry = (kind: object) => ({ type: 'repository', name: 'app', actions: ['pull', 'push'], ...kind })
  const holding = (...access: object[]) => bearer(tokenOf(issuer, access))

  beforeAll(async () => {
    issuer = await createIssuer(join(folder, 'a'))
    const env = { ...trusting(issuer, join(folder, 'root.pem')), REGISTRY_POLICY_REPOSITORY_CLASSES_0: 'image' }
    registry = await startRegistry({ env: { ...env, REGISTRY_POLICY_REPOSITORY_CLASSES_1: 'plugin' } })
    for (const content of ['config', 'layer']) await pushBlob(registry.port, 'app', content, holding(entry({})))
  })
  afterAll(async () => {
    await registry.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const tokens: [sentence: string, access: object[], config: string, refused: string | undefined][] = [
    ['no class is the class image', [entry({})], IMAGE, undefined],
    ['no class is no plugin', [entry({})], PLUGIN, 'repository not authorized for plugin manifest'],
    ['the class plugin is a plugin', [entry({ class: 'plugin' })], PLUGIN, undefined],
    [
      'the class plugin is no image',
      [entry({ class: 'plugin' })],
      IMAGE,
      'repository not authorized for image manifest',
    ],
    ['two entries are both', [entry({}), entry({ class: 'plugin' })], PLUGIN, undefined],
  ]
  test.each(tokens)('%s', async (_, access, config, refused) => {
    const answer = await putManifest(registry.port, 'app', 'tag', docker(config), dockerManifest, holding(...access))
    expect([answer.status, refused === undefined ? undefined : errorsOf(answer)]).toEqual(
      refused === undefined ? [201, undefined] : [403, [{ code: 'DENIED', message: refused }]],
    )
  })

  test('a class that is no text is a malformed token', async () => {
    const answer = await putManifest(
      registry.port,
      'app',
      'tag',
      docker(IMAGE),
      dockerManifest,
      holding(entry({ class: 1 })),
    )
    expect(answer.status).toBe(401)
  })
})

test('without the key every class may be pushed', async () => {
  const registry = await startRegistry()
  try {
    for (const content of ['config', 'layer']) await pushBlob(registry.port, 'app', content)
    await pushManifest(registry.port, 'app', 'tag', docker(PLUGIN), dockerManifest)
    await pushManifest(registry.port, 'app', 'tag', oci('application/vnd.oci.empty.v1+json'), ociManifest)
  } finally {
    await registry.stop()
  }
})
