import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { makeImage, pushImage, type TestImage } from '../image.ts'
import { describeWith, type Ended, must, program, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { pushSamples, SAMPLES, SIGNATURE } from './export-samples.ts'

const ENV = { REGISTRY_AUTH: 'none' }
const TIMEOUT = 180_000
const REF_NAME = 'org.opencontainers.image.ref.name'

describeWith(['skopeo'], 'skopeo on the OCI layouts that berth export wrote', () => {
  let folder = ''
  let data = ''
  let all = ''
  let berth: Berth

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-export-'))
    data = join(folder, 'data')
    all = join(folder, 'all')
    berth = await startBerth({ env: ENV, args: ['--data', data] })
    await pushSamples(berth.url)
    expect(await exportTo(all)).toMatchObject({ code: 0 })
  })

  afterAll(async () => {
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const exportTo = (directory: string, ...args: string[]): Promise<Ended> =>
    run([BERTH, 'export', directory, '--layout', 'oci', ...args, '--data', data], { env: ENV })
  const skopeo = (...args: string[]): Promise<string> => must([program('skopeo'), ...args])
  const indexOf = (layout: string): Descriptor[] =>
    JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests
  const tagsOf = (layout: string) =>
    indexOf(layout)
      .flatMap(({ annotations }) => annotations?.[REF_NAME] ?? [])
      .sort()
  const untaggedOf = (layout: string) =>
    indexOf(layout)
      .filter(({ annotations }) => annotations?.[REF_NAME] === undefined)
      .map(({ digest }) => digest)
      .sort()

  /** Copies it out of the layout and compares all of it. */
  async function expectImage(reference: string, { config, layers, manifest }: TestImage): Promise<void> {
    const target = mkdtempSync(join(folder, 'dir-'))
    await skopeo('copy', '-q', `oci:${reference}`, `dir:${target}`)
    expect(readFileSync(join(target, 'manifest.json'), 'utf8')).toBe(Buffer.from(manifest.bytes).toString())
    for (const { digest, bytes } of [config, ...layers]) {
      expect(Buffer.compare(readFileSync(join(target, digest.slice('sha256:'.length))), bytes)).toBe(0)
    }
  }

  test('there is one for each repository, also where they lie within one another', async () => {
    const layouts = ['a'.repeat(255), 'team', 'team/app', 'team/app/nested/deep'].map((name) => join(all, name))
    for (const layout of layouts) {
      expect(JSON.parse(readFileSync(join(layout, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' })
    }
    expect(layouts.map(tagsOf)).toEqual([['_1'], [`x.${'y'.repeat(126)}`], ['docker', 'latest', 'v1'], ['multi']])
  })

  test(
    'skopeo reads an image by its tag, byte for byte',
    async () => {
      await expectImage(`${all}/team/app:v1`, SAMPLES.current)
      await expectImage(`${all}/team:x.${'y'.repeat(126)}`, SAMPLES.old)
      const shown = JSON.parse(await skopeo('inspect', `oci:${all}/team/app:latest`))
      expect(shown).toMatchObject({ Digest: SAMPLES.current.manifest.digest, Labels: { seed: 'current' } })
    },
    TIMEOUT,
  )

  test(
    'skopeo reads a multi-arch image as a whole, and each of its platforms',
    async () => {
      const reference = `oci:${all}/team/app/nested/deep:multi`
      const { manifest, images } = SAMPLES.multi
      expect((await skopeo('inspect', '--raw', reference)).trimEnd()).toBe(Buffer.from(manifest.bytes).toString())
      const target = mkdtempSync(join(folder, 'dir-'))
      await skopeo('copy', '-q', '--all', reference, `dir:${target}`)
      const blobs = images.flatMap(({ config, layers }) => [config, ...layers].map(({ digest }) => digest.slice(7)))
      expect(readdirSync(target)).toEqual(expect.arrayContaining(blobs))
      const arm = ['--override-arch', 'arm64', '--override-variant', 'v8']
      const shown = JSON.parse(await skopeo(...arm, 'inspect', reference))
      expect(shown).toMatchObject({ Architecture: 'arm64', Layers: images[1]?.layers.map(({ digest }) => digest) })
    },
    TIMEOUT,
  )

  test(
    'an image of Docker’s media types is read as an OCI image of the same layers, and lies beside it as it was',
    async () => {
      const { manifest, config, layers } = SAMPLES.docker
      const raw = JSON.parse(await skopeo('inspect', '--raw', `oci:${all}/team/app:docker`))
      const original = JSON.parse(Buffer.from(manifest.bytes).toString())
      expect(raw).toEqual({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { ...original.config, mediaType: 'application/vnd.oci.image.config.v1+json' },
        layers: [{ ...original.layers[0], mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' }],
      })
      const target = mkdtempSync(join(folder, 'dir-'))
      await skopeo('copy', '-q', `oci:${all}/team/app:docker`, `dir:${target}`)
      for (const { digest } of [config, ...layers]) expect(existsSync(join(target, digest.slice(7)))).toBe(true)
      expect(indexOf(join(all, 'team/app'))).toContainEqual({
        ...{ mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length },
      })

      const verbatim = join(folder, 'verbatim')
      expect((await exportTo(verbatim, 'team/app:docker', '--verbatim')).code).toBe(0)
      const annotations = { [REF_NAME]: 'docker' }
      expect(indexOf(verbatim)).toEqual([
        { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length, annotations },
      ])
    },
    TIMEOUT,
  )

  test('what no tag leads to is named in the index, a referrer with its type', () => {
    const entries = indexOf(join(all, 'team/app'))
    const untagged = entries.filter(({ annotations }) => annotations?.[REF_NAME] === undefined)
    expect(untagged).toContainEqual({
      mediaType: SIGNATURE.manifest.mediaType,
      digest: SIGNATURE.manifest.digest,
      size: SIGNATURE.manifest.bytes.length,
      artifactType: 'application/vnd.example.sig',
    })
    expect(untagged.map(({ digest }) => digest)).toEqual(
      expect.arrayContaining([SAMPLES.old.manifest.digest, SAMPLES.untagged.manifest.digest]),
    )
    // Children of an index are found through it.
    expect(untaggedOf(join(all, 'team/app/nested/deep'))).toEqual([])
  })

  test('every blob of every layout has the digest that its path says, and shares its bytes with the registry', () => {
    let files = 0
    for (const name of ['team', 'team/app', 'team/app/nested/deep']) {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const blobs = join(all, name, 'blobs', algorithm)
        for (const hex of existsSync(blobs) ? readdirSync(blobs) : []) {
          files++
          expect(digestOf(readFileSync(join(blobs, hex)), algorithm)).toBe(`${algorithm}:${hex}`)
        }
      }
    }
    expect(files).toBeGreaterThan(20)
    const [layer] = SAMPLES.old.layers
    const hex = layer?.digest.slice(7) ?? ''
    const inode = statSync(join(data, `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`)).ino
    for (const name of ['team', 'team/app']) expect(statSync(join(all, name, 'blobs/sha256', hex)).ino).toBe(inode)
  })

  test(
    'one repository that is named becomes the layout itself, with what its tags need and what refers to them',
    async () => {
      const one = join(folder, 'one')
      expect((await exportTo(one, 'team/app:v1')).code).toBe(0)
      await expectImage(`${one}:v1`, SAMPLES.current)
      expect([tagsOf(one), untaggedOf(one)]).toEqual([['v1'], [SIGNATURE.manifest.digest]])
      const expected = [SAMPLES.current, SIGNATURE].flatMap(({ config, layers, manifest }) => [
        config,
        ...layers,
        manifest,
      ])
      expect(readdirSync(join(one, 'blobs/sha256')).sort()).toEqual(
        expected.map(({ digest }) => digest.slice(7)).sort(),
      )

      // Another tag comes to those that are there.
      expect((await exportTo(one, 'team/app:docker')).code).toBe(0)
      expect(tagsOf(one)).toEqual(['docker', 'v1'])
      expect(await exportTo(one, 'team')).toMatchObject({
        code: 1,
        stderr: `berth: ${one} is the layout of team/app, and cannot become the layout of team. Name another folder\n`,
      })
      expect((await exportTo(one, 'team/app')).code).toBe(0)
      expect(tagsOf(one)).toEqual(['docker', 'latest', 'v1'])
    },
    TIMEOUT,
  )

  test(
    'again, it is what the registry has then; what is not there is told',
    async () => {
      const again = join(folder, 'again')
      await pushImage(berth.url, 'short/lived', SAMPLES.old, { tag: 'v1' })
      await pushImage(berth.url, 'short/lived', makeImage({ layers: [9], seed: 'x' }), { tag: 'v2' })
      await pushImage(berth.url, 'short/blobs/lived', SAMPLES.old, { tag: 'v1' })
      expect(await exportTo(again, '--repository', 'short/*')).toMatchObject({ code: 0 })
      expect(tagsOf(join(again, 'short/lived'))).toEqual(['v1', 'v2'])
      await fetch(`${berth.url}/v2/short/lived/manifests/v2`, { method: 'DELETE' })
      const ended = await exportTo(again, '--repository', 'short/**', 'no/such:v1', 'team/app:nothing')
      expect(ended.code).toBe(1)
      expect(ended.stderr).toContain('problem: short/blobs/lived: blobs is a part of every layout; export it alone')
      expect(ended.stderr).toContain('problem: no/such: there is no such repository')
      expect(ended.stderr).toContain('problem: team/app:nothing: there is no team/app:nothing')
      expect(ended.stderr).toEndWith('berth: 3 things could not be exported (see above); the rest was\n')
      expect(tagsOf(join(again, 'short/lived'))).toEqual(['v1'])
    },
    TIMEOUT,
  )

  test(
    'what is there and not its own stays as it is',
    async () => {
      const copy = join(folder, 'copied')
      await skopeo('copy', '-q', `oci:${all}/team/app:v1`, `oci:${copy}:v1`)
      const before = readFileSync(join(copy, 'index.json'), 'utf8')
      const refused = await exportTo(copy, 'team/app:v1')
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain(`${copy} holds something else (`)
      expect(readFileSync(join(copy, 'index.json'), 'utf8')).toBe(before)
    },
    TIMEOUT,
  )
})
