import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage, pushImage } from '../image.ts'
import { describeWith, type Ended, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { collectGarbage, startDebianRegistry } from './debian-registry.ts'
import { pushSamples, SAMPLES, UNTAGGED } from './export-samples.ts'
import { readRegistry } from './registry-contents.ts'

const ENV = { REGISTRY_AUTH: 'none' }
const TIMEOUT = 180_000
const REPOSITORIES = 'docker/registry/v2/repositories'

describeWith(['docker-registry'], 'Debian’s docker-registry on Berth’s own data directory', () => {
  let folder = ''
  let data = ''
  let berth: Berth | undefined
  let before: Awaited<ReturnType<typeof readRegistry>>

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-in-place-'))
    data = join(folder, 'data')
  })

  afterAll(async () => {
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const exportInPlace = (...args: string[]): Promise<Ended> =>
    run([BERTH, 'export', '--in-place', '--layout', 'distribution', '--data', data, ...args], { env: ENV })

  test(
    'is refused while a server runs there, and writes nothing',
    async () => {
      berth = await startBerth({ env: ENV, args: ['--data', data] })
      await pushSamples(berth.url)
      before = await readRegistry(berth.url, UNTAGGED)
      const { code, stderr } = await exportInPlace()
      expect([code, stderr]).toEqual([1, expect.stringContaining(`berth: a server runs on ${data}; stop it first.`)])
      expect(readdirSync(join(data, 'docker/registry/v2'))).toEqual(['blobs'])
      expect(await berth.stop()).toBe(0)
    },
    TIMEOUT,
  )

  test(
    'a dry run writes nothing',
    async () => {
      expect((await exportInPlace('--dry-run')).code).toBe(0)
      expect(readdirSync(join(data, 'docker/registry/v2'))).toEqual(['blobs'])
    },
    TIMEOUT,
  )

  test(
    'it serves all of it, byte for byte, and its garbage-collect finds nothing to delete',
    async () => {
      expect(await exportInPlace()).toMatchObject({ code: 0, stdout: expect.stringContaining('  0 (0 B)  0 (0 B)  ') })
      expect((await exportInPlace()).code).toBe(0)
      expect(readdirSync(join(data, 'docker/registry/v2')).sort()).toEqual(['blobs', 'repositories'])
      const registry = await startDebianRegistry('none', data)
      try {
        expect(await readRegistry(registry.url, UNTAGGED)).toEqual(before)
      } finally {
        await registry.dispose()
      }
      const planned = await collectGarbage(data, { dryRun: true })
      expect(planned.stdout).toContain(' 0 blobs and 0 manifests eligible for deletion')
    },
    TIMEOUT,
  )

  test(
    'what it pushes and deletes is not written over by another export',
    async () => {
      const registry = await startDebianRegistry('none', data)
      try {
        await pushImage(registry.url, 'team/app', makeImage({ layers: [80], seed: 'theirs' }), { tag: 'theirs' })
        await pushImage(registry.url, 'team/app', SAMPLES.old, { tag: 'latest' })
        await pushImage(registry.url, 'new/one', SAMPLES.old, { tag: 'v1' })
        const target = `${registry.url}/v2/team/app/manifests/${SAMPLES.docker.manifest.digest}`
        expect((await fetch(target, { method: 'DELETE' })).status).toBe(202)
        before = await readRegistry(registry.url, UNTAGGED)
      } finally {
        await registry.dispose()
      }
      const { code, stderr } = await exportInPlace()
      expect([code, stderr]).toEqual([1, expect.stringContaining('was written to since it was exported')])
      expect(existsSync(join(data, REPOSITORIES, 'new/one/_manifests/tags/v1/current/link'))).toBe(true)
    },
    TIMEOUT,
  )

  test(
    'Berth starts there again, and has what it did; and so there and back once more',
    async () => {
      for (let turn = 1; turn <= 2; turn++) {
        berth = await startBerth({ env: ENV, args: ['--data', data] })
        try {
          expect(await readRegistry(berth.url, UNTAGGED)).toEqual(before)
          await pushImage(berth.url, 'team/app', makeImage({ layers: [90 + turn], seed: `turn ${turn}` }), {
            tag: 'ours',
          })
          await fetch(`${berth.url}/v2/team/app/manifests/theirs`, { method: 'DELETE' })
          before = await readRegistry(berth.url, UNTAGGED)
        } finally {
          await berth.stop()
        }
        expect(await exportInPlace()).toMatchObject({ code: 0 })
        const registry = await startDebianRegistry('none', data)
        try {
          expect(await readRegistry(registry.url, UNTAGGED)).toEqual(before)
          await pushImage(registry.url, 'team/app', SAMPLES.current, { tag: `turn-${turn}` })
          const target = `${registry.url}/v2/team/app/manifests/${SAMPLES.untagged.manifest.digest}`
          expect((await fetch(target, { method: 'DELETE' })).status).toBe(turn === 1 ? 202 : 404)
          before = await readRegistry(registry.url, UNTAGGED)
        } finally {
          await registry.dispose()
        }
        expect((await collectGarbage(data, { dryRun: true })).stdout).toMatch(/ \d+ blobs and 0 manifests eligible/)
      }
      berth = await startBerth({ env: ENV, args: ['--data', data] })
      expect(await readRegistry(berth.url, UNTAGGED)).toEqual(before)
      expect(await berth.stop()).toBe(0)
      expect(readdirSync(join(data, 'docker/registry/v2')).sort()).toEqual([
        ...['blobs', 'repositories', 'repositories.berth', 'repositories.berth.2', 'repositories.berth.3'],
      ])
    },
    TIMEOUT,
  )
})
