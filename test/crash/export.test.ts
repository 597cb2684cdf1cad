import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf, isAlgorithm } from '../../src/oci/digest.ts'
import { makeImage, pushImage } from '../image.ts'
import { cleanEnvironment, must, run } from '../programs.ts'
import { BERTH, startBerth } from '../start-berth.ts'

const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const IMAGES = 12
const LAYER_BYTES = 400_000
const KILLS = 6
/** Attempts, where each export was done before a busy machine came to kill it. */
const MOST_KILLS = 30
const TIMEOUT = 300_000
const V2 = 'docker/registry/v2'

describe('an export that ends too early', () => {
  let folder = ''
  let data = ''

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-export-crash-'))
    data = join(folder, 'data')
    const berth = await startBerth({ dataDirectory: data, env: ENV })
    for (let image = 0; image < IMAGES; image++) {
      const made = makeImage({ layers: [LAYER_BYTES, 10], seed: `image ${image}` })
      await pushImage(berth.url, `team/app${image % 3}`, made, { tag: `v${image}` })
    }
    await berth.stop()
    await berth.dispose()
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const command = (...args: string[]) => [BERTH, 'export', ...args, '--data', data]
  const distribution = ['--layout', 'distribution']

  /** Every path below, with the digest of its bytes; the marker's time differs. */
  function filesOf(root: string): string[] {
    return readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'berth-export.json')
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => `${path.slice(root.length)} ${digestOf(readFileSync(path))}`)
      .sort()
  }

  /** Blobs that have their name, but not their bytes. */
  function brokenBlobs(blobs: string): string[] {
    if (!existsSync(blobs)) return []
    return readdirSync(blobs, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => {
        const [algorithm = '', ...rest] = path.slice(blobs.length + 1).split('/')
        const hex = rest.findLast((part) => /^[0-9a-f]{64,}$/.test(part))
        return !isAlgorithm(algorithm) || digestOf(readFileSync(path), algorithm) !== `${algorithm}:${hex}`
      })
  }

  /** Starts it and kills it once there are so many blobs; false when it was done before. */
  async function killAfter(blobs: string, count: number, ...args: string[]): Promise<boolean> {
    const child = Bun.spawn(command(...args), { env: cleanEnvironment(ENV), stdout: 'ignore', stderr: 'ignore' })
    const isThere = () => existsSync(blobs) && readdirSync(blobs, { recursive: true }).length >= count
    while (!isThere() && child.exitCode === null) await Bun.sleep(0)
    child.kill('SIGKILL')
    await child.exited
    return child.signalCode === 'SIGKILL'
  }

  test(
    'by kill -9 leaves no tree, and no half of a blob; the next one goes on from there',
    async () => {
      const whole = join(folder, 'whole')
      await must(command(whole, ...distribution), { env: ENV })
      const cut = join(folder, 'cut')
      let kills = 0
      for (let attempt = 0; attempt < KILLS || (kills === 0 && attempt < MOST_KILLS); attempt++) {
        const count = 1 + (attempt % KILLS) * 20
        if (await killAfter(join(cut, V2, 'blobs'), count, cut, ...distribution)) kills++
        else rmSync(cut, { recursive: true })
        expect(brokenBlobs(join(cut, V2, 'blobs'))).toEqual([])
        // Killed in its last step it may be complete, else there is nothing that a registry would take for all.
        const tree = join(cut, V2, 'repositories')
        if (existsSync(tree)) expect(existsSync(join(tree, 'berth-export.json'))).toBe(true)
      }
      expect(kills).toBeGreaterThan(0)
      await must(command(cut, ...distribution), { env: ENV })
      expect(filesOf(cut)).toEqual(filesOf(whole))
    },
    TIMEOUT,
  )

  test(
    'in place leaves the data directory to Berth, which serves all of it; the next one is whole',
    async () => {
      const blobs = filesOf(join(data, V2, 'blobs'))
      await killAfter(join(data, V2, 'repositories.export'), 3, '--in-place', ...distribution)
      const before = filesOf(join(data, V2, 'blobs'))
      expect(before).toEqual(expect.arrayContaining(blobs))
      expect(brokenBlobs(join(data, V2, 'blobs'))).toEqual([])
      const whole = join(folder, 'whole')
      await must(command(whole, ...distribution), { env: ENV })
      await must(command('--in-place', ...distribution), { env: ENV })
      expect(filesOf(join(data, V2))).toEqual(filesOf(join(whole, V2)))
    },
    TIMEOUT,
  )

  test(
    'of OCI layouts leaves no index that names what is not there',
    async () => {
      const cut = join(folder, 'cut')
      for (const count of [1, 10]) {
        await killAfter(join(cut, 'team/app1/blobs'), count, cut, '--layout', 'oci')
        for (const name of ['app0', 'app1', 'app2']) {
          const layout = join(cut, 'team', name)
          expect(brokenBlobs(join(layout, 'blobs'))).toEqual([])
          if (!existsSync(join(layout, 'index.json'))) continue
          const { manifests } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'))
          const missing = manifests.filter(
            ({ digest }: { digest: string }) => !existsSync(join(layout, 'blobs', digest.replace(':', '/'))),
          )
          expect(missing).toEqual([])
        }
      }
      const whole = join(folder, 'whole')
      await must(command(whole, '--layout', 'oci'), { env: ENV })
      await must(command(cut, '--layout', 'oci'), { env: ENV })
      expect(filesOf(cut)).toEqual(filesOf(whole))
    },
    TIMEOUT,
  )

  const isRoot = process.getuid?.() === 0
  describe.skipIf(!isRoot)(`by a full disk${isRoot ? '' : ' [needs root, to mount a small tmpfs]'}`, () => {
    const layouts: [string, readonly string[], string, string][] = [
      ['registry:2’s', distribution, join(V2, 'blobs'), join(V2, 'repositories')],
      ['OCI', ['--layout', 'oci', 'team/app0'], 'blobs', 'index.json'],
    ]
    for (const [name, options, blobs, last] of layouts) {
      test(
        `${name} layout: says so, leaves nothing that is half written, and goes on once there is room`,
        async () => {
          const disk = join(folder, 'disk')
          mkdirSync(disk)
          await must(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk])
          try {
            const out = join(disk, 'out')
            const full = await run(command(out, ...options), { env: ENV })
            expect([full.code, full.stderr]).toEqual([
              1,
              expect.stringContaining(
                `berth: cannot export to ${out}: its disk is full. Make room and export again: what is there already is kept`,
              ),
            ])
            expect(brokenBlobs(join(out, blobs))).toEqual([])
            expect(existsSync(join(out, last))).toBe(false)
            await must(['mount', '-o', 'remount,size=64m', disk])
            const { stdout } = await run(command(out, ...options, '--output', 'json'), { env: ENV })
            const { copied, present, problems } = JSON.parse(stdout)
            expect([problems, copied.files > 0, present.files > 0]).toEqual([0, true, true])
            const whole = join(folder, 'whole')
            await must(command(whole, ...options), { env: ENV })
            expect(filesOf(out)).toEqual(filesOf(whole))
          } finally {
            await run(['umount', disk])
          }
        },
        TIMEOUT,
      )
    }
  })
})
