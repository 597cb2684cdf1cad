import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage, pushImage } from '../image.ts'
import { describeWith, type Ended, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { collectGarbage, startDebianRegistry } from './debian-registry.ts'
import { pushSamples, UNTAGGED } from './export-samples.ts'
import { readRegistry } from './registry-contents.ts'

const ENV = { REGISTRY_AUTH: 'none' }
const TIMEOUT = 180_000

describeWith(['docker-registry'], 'Debian’s docker-registry on what berth export wrote', () => {
  let folder = ''
  let out = ''
  let berth: Berth

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-export-'))
    out = join(folder, 'out')
    berth = await startBerth({ env: ENV, args: ['--data', join(folder, 'data')] })
    await pushSamples(berth.url)
  })

  afterAll(async () => {
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const exportTo = (...args: string[]): Promise<Ended> =>
    run([BERTH, 'export', ...args, '--layout', 'distribution', '--data', join(folder, 'data')], { env: ENV })

  test(
    'serves all of it, byte for byte, after an export from a running server',
    async () => {
      const ended = await exportTo(out, '--output', 'json')
      expect(ended.code).toBe(0)
      expect(JSON.parse(ended.stdout)).toMatchObject({
        ...{ repositories: 4, tags: 6, manifests: 11, problems: 0, counts: { referrer: 1, sha512: 1 } },
        copied: { files: 0, bytes: 0 },
      })
      const before = await readRegistry(berth.url, UNTAGGED)
      const registry = await startDebianRegistry('none', out)
      try {
        expect(await readRegistry(registry.url, UNTAGGED)).toEqual(before)
        expect([...before.contents.values()].filter(({ status }) => status !== 200)).toEqual([])
        expect(before.contents.size).toBeGreaterThan(30)
      } finally {
        await registry.dispose()
      }
    },
    TIMEOUT,
  )

  test(
    'its garbage-collect finds nothing to delete, and deletes nothing that is referenced',
    async () => {
      const planned = await collectGarbage(out, { dryRun: true })
      expect(planned.stderr).toBe('')
      expect(planned.stdout).toContain(' 0 blobs and 0 manifests eligible for deletion')
      expect((await collectGarbage(out, { dryRun: false })).code).toBe(0)
      expect((await exportTo(out)).stdout).toMatch(/ 0 \(0 B\) {2}0 \(0 B\) {2}2\d \(/)
    },
    TIMEOUT,
  )

  test(
    'again, after pushes and deletions, it is what the server has then',
    async () => {
      await pushImage(berth.url, 'team/app', makeImage({ layers: [70], seed: 'new' }), { tag: 'v2' })
      await fetch(`${berth.url}/v2/team/app/manifests/docker`, { method: 'DELETE' })
      expect((await exportTo(out)).code).toBe(0)
      const registry = await startDebianRegistry('none', out)
      try {
        expect(await readRegistry(registry.url, UNTAGGED)).toEqual(await readRegistry(berth.url, UNTAGGED))
        // Now it is the other's: what was pushed there must not be lost.
        await pushImage(registry.url, 'theirs', makeImage({ layers: [70], seed: 'theirs' }), { tag: 'v1' })
      } finally {
        await registry.dispose()
      }
      expect(await exportTo(out)).toEqual({
        code: 1,
        stdout: '',
        stderr:
          `berth: the registry in ${out} was written to since it was exported: theirs is newer. ` +
          'Export to another folder, or remove this one\n',
      })
    },
    TIMEOUT,
  )

  test(
    'has only the repositories that were selected',
    async () => {
      const part = join(folder, 'part')
      expect((await exportTo(part, '--repository', 'team/**')).code).toBe(0)
      const registry = await startDebianRegistry('none', part)
      try {
        const { repositories, contents } = await readRegistry(registry.url)
        expect(repositories).toEqual(['team/app', 'team/app/nested/deep'])
        expect([...contents.values()].every(({ status }) => status === 200)).toBe(true)
      } finally {
        await registry.dispose()
      }
      expect((await collectGarbage(part, { dryRun: true })).stdout).toContain(' 0 blobs and 0 manifests eligible')
    },
    TIMEOUT,
  )
})
