import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import {
  descriptorOf,
  makeArtifact,
  makeImage,
  makeIndex,
  type TestImage,
  type TestIndex,
  writeLayout,
} from '../image.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { openVerbShell } from './verb-shell.ts'

const ARM_8 = { os: 'linux', architecture: 'arm64', variant: 'v8' }
const AMD = makeImage({ layers: [10], seed: 'amd' })
const ARM = makeImage({ layers: [20], seed: 'arm', platform: ARM_8 })
const OTHER_ARM = makeImage({ layers: [30], seed: 'other', platform: ARM_8 })
const S390X = makeImage({ layers: [40], seed: 's390x', platform: { os: 'linux', architecture: 's390x' } })
const BOTH = makeIndex([AMD, ARM])
const SBOM = makeArtifact({ seed: 'sbom', artifactType: 'application/x-sbom', subject: ARM.manifest })

let registry: TestRegistry
let folder = ''
let host = ''
let shell = openVerbShell('/nonexistent')
beforeAll(async () => {
  registry = await startRegistry()
  host = `127.0.0.1:${registry.port}`
  folder = mkdtempSync(join(tmpdir(), 'berth-push-index-'))
  shell = openVerbShell(folder, [], { TMPDIR: folder })
})
afterAll(async () => {
  await registry?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** A layout with all of these, called `v0`, `v1` … */
function layoutOf(name: string, images: readonly (TestImage | TestIndex)[]): string {
  const path = join(folder, name)
  const manifests: unknown[] = []
  for (const [number, image] of images.entries()) {
    writeLayout(path, image, `v${number}`)
    manifests.push(...JSON.parse(readFileSync(join(path, 'index.json'), 'utf8')).manifests)
  }
  writeFileSync(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
  return path
}

const push = (...args: string[]) => shell.run('push', '-q', '--index', ...args)
const manifestOf = async (image: string) => JSON.parse((await shell.run('manifest', image)).out)
const entry = ({ manifest, platform }: TestImage) => ({ ...descriptorOf(manifest), platform })

describe('all images of a place are one index', () => {
  const cases: [string, readonly (TestImage | TestIndex)[], unknown[]][] = [
    ['one by one, each for its platform', [AMD, ARM], [entry(AMD), entry(ARM)]],
    ['of an index its images, each once', [S390X, AMD, BOTH], [entry(S390X), entry(AMD), entry(ARM)]],
    ['one alone', [ARM], [entry(ARM)]],
  ]
  test.each(cases)('%s', async (name, images, manifests) => {
    const image = `${host}/joined:v${images.length}`
    const answer = await push(layoutOf(name, images), image)
    const found = await manifestOf(image)
    expect(found).toEqual({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests })
    const digest = digestOf(Buffer.from(JSON.stringify(found)))
    expect(answer).toEqual({ out: `${image}@${digest}\n`, error: '', code: 0 })
    expect(await shell.run('validate', image)).toMatchObject({ code: 0 })
  })

  test('an index that is alone stays as it is, and what refers to an image is none of them', async () => {
    const path = layoutOf('alone', [SBOM, BOTH])
    const name = `${host}/alone:v1@${BOTH.manifest.digest}\n`
    expect(await push(path, `${host}/alone:v1`)).toEqual({ out: name, error: '', code: 0 })
    const referrers = async () => {
      const response = await fetch(`${registry.url}/v2/alone/referrers/${ARM.manifest.digest}`)
      return ((await response.json()) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest)
    }
    expect(await referrers()).toEqual([])
    expect(await push('-r', path, `${host}/alone:v1`)).toMatchObject({ out: name, code: 0 })
    expect(await referrers()).toEqual([SBOM.manifest.digest])
  })

  test('what docker saved, with layers that are compressed for it', async () => {
    const path = join(folder, 'saved')
    mkdirSync(path)
    const images = [AMD, ARM].map(({ config, layers: [layer] }) => {
      const tar = gunzipSync(layer?.bytes ?? new Uint8Array())
      const names = { Config: `${hexOf(config.digest)}.json`, Layers: [`${hexOf(digestOf(tar))}.tar`] }
      writeFileSync(join(path, names.Config), config.bytes)
      writeFileSync(join(path, names.Layers[0] ?? ''), tar)
      return names
    })
    writeFileSync(join(path, 'manifest.json'), JSON.stringify(images))
    expect(await push(path, `${host}/saved:v1`)).toMatchObject({ error: '', code: 0 })
    const { manifests } = await manifestOf(`${host}/saved:v1`)
    expect(manifests.map(({ platform }: { platform: unknown }) => platform)).toEqual([AMD.platform, ARM.platform])
    expect(await shell.run('validate', `${host}/saved:v1`)).toMatchObject({ code: 0 })
    for (const image of [AMD, ARM]) {
      const platform = `${image.platform.os}/${image.platform.architecture}`
      const { config } = JSON.parse((await shell.run('manifest', `${host}/saved:v1`, '-p', platform)).out)
      expect(config.digest).toBe(image.config.digest)
    }
  })
})

describe('nothing is sent', () => {
  const damaged = () => {
    const path = layoutOf('damaged', [AMD, ARM])
    const file = join(path, 'blobs/sha256', hexOf(ARM.config.digest))
    writeFileSync(file, readFileSync(file, 'utf8').replace('arm64', 'amd64'))
    return path
  }
  const cases: [string, () => string | string[], number, string][] = [
    [
      'of two images for one platform',
      () => [layoutOf('twice', [BOTH, OTHER_ARM])],
      64,
      `two images for linux/arm64/v8: ${ARM.manifest.digest} and ${OTHER_ARM.manifest.digest}`,
    ],
    ['of an image whose configuration is damaged', damaged, 1, `${ARM.config.digest} is damaged`],
    ['of what only refers to others', () => [layoutOf('referrer', [SBOM])], 2, 'only what refers to others'],
    [
      'where one image is named',
      () => [layoutOf('named', [AMD]), '--image', 'v0'],
      64,
      "cannot be used with option '--image",
    ],
    [
      'where one platform is',
      () => [layoutOf('for-one', [AMD]), '-p', 'linux/amd64'],
      64,
      "cannot be used with option '-p",
    ],
    ['of a dry run', () => [layoutOf('dry', [AMD, ARM]), '--dry-run'], 0, 'Nothing is sent'],
  ]
  test.each(cases)('%s', async (_, given, code, words) => {
    const answer = await push(...[given()].flat(), `${host}/none:v1`)
    expect({ code: answer.code, error: answer.error.includes(words) ? words : answer.error }).toEqual({
      code,
      error: words,
    })
    expect((await fetch(`${registry.url}/v2/none/tags/list`)).status).toBe(404)
  })

  test('where nobody says which of them', async () => {
    const refused = await shell.run('push', '-q', layoutOf('several', [AMD, ARM]), `${host}/none:other`)
    expect(refused).toMatchObject({
      out: '',
      code: 64,
      error: expect.stringContaining('or all of them as one: --index'),
    })
  })
})
