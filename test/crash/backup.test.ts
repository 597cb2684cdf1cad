import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { makeImage, pushImage, type TestImage } from '../image.ts'
import { cleanEnvironment, must, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'

/** Garbage goes soon: a backup that does not hold it off loses blobs that its snapshot names. */
const ENV = {
  REGISTRY_AUTH: 'none',
  REGISTRY_LOG_ACCESSLOG_DISABLED: 'true',
  REGISTRY_STORAGE_DELETE_ENABLED: 'true',
  REGISTRY_GC_DELAY: '1s',
  REGISTRY_GC_INTERVAL: '100ms',
  REGISTRY_TRASH_WINDOW: '0s',
}
const TIMEOUT = 300_000
const KILLS = 5
/** Attempts, where what is to be killed was done before a busy machine came to it. */
const MOST_KILLS = 20
const BLOBS = 'docker/registry/v2/blobs'

describe('a backup', () => {
  let folder = ''
  let data = ''
  let target = ''

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-backup-'))
    data = join(folder, 'data')
    target = join(folder, 'backup')
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const image = (seed: string) => makeImage({ layers: [150_000, 10], seed })
  const backup = (...args: string[]) => [BERTH, 'backup', target, '--data', data, ...args]
  const restore = (to: string, ...args: string[]) => [BERTH, 'restore', target, '--data', to, ...args]
  const fileOf = (root: string, hex = '') => join(root, BLOBS, 'sha256', hex.slice(0, 2), hex, 'data')
  const report = async (command: readonly string[]) =>
    JSON.parse(await must([...command, '--format', 'json'], { env: ENV }))

  async function serving<T>(directory: string, work: (berth: Berth) => Promise<T>): Promise<T> {
    const berth = await startBerth({ dataDirectory: directory, env: ENV })
    try {
      return await work(berth)
    } finally {
      await berth.stop()
      await berth.dispose()
    }
  }

  /** On a busy machine the collector may be faster than a push: a client sends again what is gone. */
  async function push(url: string, repository: string, made: TestImage, tag: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await pushImage(url, repository, made, { tag })
      } catch (error) {
        if (attempt === 20 || !String(error).includes('MANIFEST_BLOB_UNKNOWN')) throw error
      }
    }
  }

  async function fill(berth: Berth, count: number, name = 'app'): Promise<Map<string, TestImage>> {
    const images = new Map<string, TestImage>()
    for (let index = 0; index < count; index++) {
      const made = image(`${name} ${index}`)
      await push(berth.url, `team/${name}`, made, `v${index}`)
      images.set(`team/${name}:v${index}`, made)
    }
    return images
  }

  /** What of the image is not served, byte for byte. */
  async function faultsOf(url: string, name: string, { manifest, config, layers }: TestImage): Promise<string[]> {
    const [repository = '', tag = ''] = name.split(':')
    const parts = [
      [`manifests/${tag}`, manifest.bytes],
      ...[config, ...layers].map(({ digest, bytes }) => [`blobs/${digest}`, bytes] as const),
    ] as const
    const faults: string[] = []
    for (const [path, bytes] of parts) {
      const response = await fetch(`${url}/v2/${repository}/${path}`)
      const got = Buffer.from(await response.arrayBuffer())
      if (response.status !== 200 || Buffer.compare(got, bytes) !== 0)
        faults.push(`${name} ${path}: ${response.status}`)
    }
    return faults
  }

  /** Every tag of the registry with what is wrong with it. */
  async function pullAll(url: string): Promise<{ tags: string[]; faults: string[] }> {
    const tags: string[] = []
    const faults: string[] = []
    const { repositories } = (await (await fetch(`${url}/v2/_catalog`)).json()) as { repositories: string[] }
    for (const repository of repositories) {
      const listed = (await (await fetch(`${url}/v2/${repository}/tags/list`)).json()) as { tags: string[] | null }
      for (const tag of listed.tags ?? []) {
        tags.push(`${repository}:${tag}`)
        const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`)
        const manifest = (await response.json()) as { config: { digest: string }; layers: { digest: string }[] }
        for (const { digest } of [manifest.config, ...manifest.layers]) {
          const blob = await fetch(`${url}/v2/${repository}/blobs/${digest}`)
          if (digestOf(new Uint8Array(await blob.arrayBuffer())) !== digest)
            faults.push(`${repository}:${tag} ${digest}`)
        }
      }
    }
    return { tags: tags.sort(), faults }
  }

  test(
    'while images are pushed and deleted has all that was acknowledged before, and nothing by half',
    async () => {
      const restored = join(folder, 'restored')
      await serving(data, async (berth) => {
        const kept = await fill(berth, 8)
        let going = true
        let churned = 0
        const churn = async (name: string) => {
          for (let round = 0; going; round++) {
            const made = image(`${name} ${round}`)
            await push(berth.url, `team/${name}`, made, `v${round}`)
            if (round % 2 === 0) {
              const url = `${berth.url}/v2/team/${name}/manifests/${made.manifest.digest}`
              expect((await fetch(url, { method: 'DELETE' })).status).toBe(202)
            }
            churned++
          }
        }
        const churning = [churn('one'), churn('two')]
        const first = await report(backup())
        const second = await report(backup())
        going = false
        await Promise.all(churning)
        expect(churned).toBeGreaterThan(0)
        expect([first.missing, second.missing]).toEqual([[], []])
        expect([first.present.files, second.present.files >= 8 * 3]).toEqual([0, true])
        const after = await pullAll(berth.url)
        expect(after.faults).toEqual([])

        expect(await report(restore(restored, '--verify'))).toMatchObject({ missing: [], blobs: second.blobs })
        await serving(restored, async ({ url }) => {
          const { tags, faults } = await pullAll(url)
          expect(faults).toEqual([])
          expect(tags).toEqual(expect.arrayContaining([...kept.keys()]))
          for (const [name, made] of kept) expect(await faultsOf(url, name, made)).toEqual([])
          // It is a registry like any other.
          const next = image('next')
          await push(url, 'team/next', next, 'v1')
          expect(await faultsOf(url, 'team/next:v1', next)).toEqual([])
        })
      })
    },
    TIMEOUT,
  )

  test(
    'without a server has keys and certificates, too; what is gone from the registry goes from the next one',
    async () => {
      const first = await startBerth({ dataDirectory: data, env: ENV, args: ['--tls', 'auto'] })
      await first.stop()
      await first.dispose()
      const key = readFileSync(join(data, 'berth-tls/ca.key'), 'utf8')
      const digest = await serving(data, async (berth) => {
        await fill(berth, 2)
        return image('app 0').manifest.digest
      })
      expect(await report(backup())).toMatchObject({ blobs: 6, linked: { files: 6 }, removed: { files: 0 } })
      await serving(data, async ({ url }) => {
        await fetch(`${url}/v2/team/app/manifests/${digest}`, { method: 'DELETE' })
        // Whoever asks the registry whether it is there would keep it.
        const { layers, config } = image('app 0')
        const files = [config, ...layers].map(({ digest }) => fileOf(data, digest.slice(7)))
        while (files.some((file) => existsSync(file))) await Bun.sleep(20)
      })
      expect(await report(backup())).toMatchObject({ blobs: 3, present: { files: 3 }, removed: { files: 3 } })
      expect(readdirSync(join(target, 'snapshots'))).toHaveLength(1)
      const restored = join(folder, 'restored')
      mkdirSync(restored)
      await must(restore(restored))
      expect(readFileSync(join(restored, 'berth-tls/ca.key'), 'utf8')).toBe(key)
      for (const name of ['berth-tls/ca.key', 'berth-tls/server.pem', 'berth.db']) {
        expect([name, statSync(join(restored, name)).mode & 0o777]).toEqual([name, 0o600])
      }
      expect(existsSync(join(restored, 'berth-restore.json'))).toBe(false)
    },
    TIMEOUT,
  )

  /** Starts it and kills it once `isThere`; false when it was done before. */
  async function killOnce(command: readonly string[], isThere: () => boolean): Promise<boolean> {
    const child = Bun.spawn([...command], { env: cleanEnvironment(ENV), stdout: 'ignore', stderr: 'ignore' })
    while (!isThere() && child.exitCode === null) await Bun.sleep(0)
    child.kill('SIGKILL')
    await child.exited
    return child.signalCode === 'SIGKILL'
  }
  const entriesOf = (path: string) => (existsSync(path) ? readdirSync(path, { recursive: true }).length : 0)

  test(
    'that is killed leaves the one before whole, and the next one goes on',
    async () => {
      await serving(data, (berth) => fill(berth, 3))
      await must(backup())
      const before = entriesOf(join(target, BLOBS))
      await serving(data, (berth) => fill(berth, 12, 'more'))
      // One that is done before it is killed leaves nothing to back up: then all begins again.
      const previous = join(folder, 'previous')
      cpSync(target, previous, { recursive: true })
      let kills = 0
      for (let attempt = 0; attempt < KILLS || (kills === 0 && attempt < MOST_KILLS); attempt++) {
        const at = before + 1 + (attempt % KILLS) * 15
        if (await killOnce(backup(), () => entriesOf(join(target, BLOBS)) >= at)) kills++
        const marker = JSON.parse(readFileSync(join(target, 'berth-backup.json'), 'utf8'))
        expect([9, 45]).toContain(marker.blobs)
        const restored = join(folder, `restored-${attempt}`)
        expect(await report(restore(restored, '--verify'))).toMatchObject({ blobs: marker.blobs, missing: [] })
        if (marker.blobs < 45) continue
        if (kills > 0) break
        rmSync(target, { recursive: true })
        cpSync(previous, target, { recursive: true })
      }
      expect(kills).toBeGreaterThan(0)
      expect(await report(backup())).toMatchObject({ blobs: 45, missing: [] })
      const whole = join(folder, 'whole')
      await must(restore(whole))
      await serving(whole, async ({ url }) => {
        const { tags, faults } = await pullAll(url)
        expect([tags.length, faults]).toEqual([15, []])
      })
    },
    TIMEOUT,
  )

  test(
    'whose restore is killed is served by nobody, until the restore is run again',
    async () => {
      const images = await serving(data, (berth) => fill(berth, 10))
      await must(backup())
      const restored = join(folder, 'restored')
      let wasKilled = false
      for (let attempt = 0; attempt < MOST_KILLS && !wasKilled; attempt++) {
        rmSync(restored, { recursive: true, force: true })
        const isCut = await killOnce(restore(restored), () => entriesOf(join(restored, BLOBS)) > 3)
        // The kill may come between its last step and its end.
        const isComplete = existsSync(join(restored, 'berth.db'))
        wasKilled = isCut && !isComplete
      }
      expect(wasKilled).toBe(true)
      const refused = await run([BERTH, 'serve', '--addr', '127.0.0.1:0', '--data', restored], { env: ENV })
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('was cut short')])
      expect(existsSync(join(restored, 'berth.db'))).toBe(false)
      await must(restore(restored))
      await serving(restored, async ({ url }) => {
        for (const [name, made] of images) expect(await faultsOf(url, name, made)).toEqual([])
      })
    },
    TIMEOUT,
  )

  test(
    'that is damaged is not restored unless that is wanted; one of a damaged registry says what is missing',
    async () => {
      const images = await serving(data, (berth) => fill(berth, 2))
      const [one, other] = [...images.values()].map(({ layers }) => layers[0]?.digest.slice(7) ?? '')
      rmSync(fileOf(data, one))
      const lacking = await run(backup('--format', 'json'), { env: ENV })
      expect([lacking.code, JSON.parse(lacking.stdout).missing]).toEqual([
        1,
        [{ digest: `sha256:${one}`, detail: expect.stringContaining('is not there') }],
      ])
      expect(lacking.stderr).toContain('all else is backed up')
      // It was missing before: that keeps nobody from the rest.
      const known = await run(restore(join(folder, 'known'), '--format', 'json'), { env: ENV })
      expect([known.code, JSON.parse(known.stdout)]).toMatchObject([1, { blobs: 5, missing: [{}] }])

      // The bytes of a hard link are the registry's own.
      const copy = readFileSync(fileOf(target, other))
      rmSync(fileOf(target, other))
      writeFileSync(fileOf(target, other), Buffer.from(copy).fill(7, 5, 6))
      const to = join(folder, 'restored')
      const hashed = await run(restore(to, '--verify'), { env: ENV })
      expect([hashed.code, hashed.stderr]).toEqual([1, expect.stringContaining('has other bytes than its digest says')])
      expect(existsSync(to)).toBe(false)
      truncateSync(fileOf(target, other), 5)
      const refused = await run(restore(to), { env: ENV })
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(`has 5 bytes in place of`)])
      expect(refused.stderr).not.toContain(one)
      expect(existsSync(to)).toBe(false)
      const partly = await run(restore(to, '--incomplete', '--format', 'json'), { env: ENV })
      expect([partly.code, JSON.parse(partly.stdout)]).toMatchObject([1, { blobs: 4, missing: [{}, {}] }])

      const [name = ''] = readdirSync(join(target, 'snapshots'))
      const database = join(target, 'snapshots', name, 'berth.db')
      const bytes = readFileSync(database)
      writeFileSync(database, bytes.fill(0xff, 8192, 40_960))
      const broken = await run(restore(join(folder, 'broken')), { env: ENV })
      expect([broken.code, broken.stderr]).toEqual([1, expect.stringMatching(/damaged|malformed/)])
      expect(existsSync(join(folder, 'broken'))).toBe(false)
    },
    TIMEOUT,
  )

  test(
    'goes nowhere but into a folder of its own, and is restored into an empty one alone',
    async () => {
      await serving(data, (berth) => fill(berth, 1))
      const other = join(folder, 'other')
      mkdirSync(other)
      writeFileSync(join(other, 'letter'), 'dear')
      const cases: [string, readonly string[], number, string][] = [
        ['into the data directory', [BERTH, 'backup', data, '--data', data], 1, 'lie one within the other'],
        ['below it', [BERTH, 'backup', join(data, 'b'), '--data', data], 1, 'lie one within the other'],
        ['above it', [BERTH, 'backup', folder, '--data', data], 1, 'lie one within the other'],
        ['beside a letter', [BERTH, 'backup', other, '--data', data], 1, 'holds something else (letter)'],
        ['into a file', [BERTH, 'backup', join(other, 'letter'), '--data', data], 1, 'is a file'],
        ['of no registry', [BERTH, 'backup', target, '--data', other], 1, 'there is no registry in'],
        ['of no folder', [BERTH, 'restore', join(folder, 'gone'), '--data', target], 1, 'there is no folder'],
        ['of nothing', [BERTH, 'restore', other, '--data', target], 1, 'holds no backup'],
        ['without a name', [BERTH, 'restore', other], 2, 'name the data directory to make'],
      ]
      for (const [what, command, code, message] of cases) {
        const ended = await run(command, { env: ENV })
        expect([what, ended.code, ended.stderr]).toEqual([what, code, expect.stringContaining(message)])
      }
      expect([readdirSync(other), existsSync(target), existsSync(join(data, 'b'))]).toEqual([['letter'], false, false])
      await must(backup())
      for (const [to, message] of [
        [data, 'is not empty'],
        [other, 'is not empty (letter)'],
        [join(target, 'new'), 'lie one within the other'],
      ] as const) {
        const ended = await run(restore(to), { env: ENV })
        expect([to, ended.code, ended.stderr]).toEqual([to, 1, expect.stringContaining(message)])
      }
      appendFileSync(join(target, 'berth-backup.json'), 'x')
      const foreign = await run(backup(), { env: ENV })
      expect([foreign.code, foreign.stderr]).toEqual([1, expect.stringContaining('holds something else')])
    },
    TIMEOUT,
  )

  test(
    'of another registry stays, and one that was restored is the same registry',
    async () => {
      await serving(data, (berth) => fill(berth, 2))
      await must(backup())
      const restored = join(folder, 'restored')
      await must(restore(restored))
      expect(await report([BERTH, 'backup', target, '--data', restored])).toMatchObject({ present: { files: 6 } })
      const other = join(folder, 'other')
      await serving(other, async () => {})
      const ended = await run([BERTH, 'backup', target, '--data', other], { env: ENV })
      expect([ended.code, ended.stdout]).toEqual([1, ''])
      expect(ended.stderr).toContain(
        `${target} has the backup of another registry, which this one would take the place`,
      )
      expect(await report(restore(join(folder, 'again'), '--verify'))).toMatchObject({ blobs: 6, missing: [] })
      const replaced = await report([BERTH, 'backup', target, '--data', other, '--replace'])
      expect(replaced).toMatchObject({ blobs: 0, removed: { files: 6 } })
    },
    TIMEOUT,
  )

  test(
    'into a link that leads nowhere is refused',
    async () => {
      await serving(data, async () => {})
      symlinkSync('not-mounted', target)
      const ended = await run(backup(), { env: ENV })
      expect([ended.code, ended.stderr.split('\n').at(-2)]).toEqual([
        1,
        `berth: ${target} is a link that leads nowhere`,
      ])
    },
    TIMEOUT,
  )

  test(
    'whose database somebody changed leads nowhere outside',
    async () => {
      await serving(data, (berth) => fill(berth, 1))
      await must(backup())
      const { snapshot } = JSON.parse(readFileSync(join(target, 'berth-backup.json'), 'utf8'))
      // It is there, and has the right size: only its place is wrong.
      const key = '../letter'
      const database = new Database(join(target, 'snapshots', snapshot, 'berth.db'))
      const row = database.query('select digest, size from blobs limit 1').get() as { digest: string; size: number }
      database.run('update blobs set storage_key = ? where digest = ?', [key, row.digest])
      database.close()
      writeFileSync(join(target, key), 'x'.repeat(row.size))
      const ended = await run(restore(join(folder, 'below', 'restored'), '--incomplete'), { env: ENV })
      const why = `${row.digest} is at ${key}, where no blob is`
      expect([ended.code, ended.stderr]).toEqual([1, expect.stringContaining(why)])
      expect(readdirSync(folder).sort()).toEqual(['backup', 'data', 'letter'])
    },
    TIMEOUT,
  )

  const isRoot = process.getuid?.() === 0
  describe.skipIf(!isRoot)(`to a full disk${isRoot ? '' : ' [needs root, to mount a small tmpfs]'}`, () => {
    test(
      'says so, keeps the one before, and goes on once there is room',
      async () => {
        mkdirSync(target)
        await must(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', target])
        try {
          await serving(data, (berth) => fill(berth, 2))
          expect(await report(backup())).toMatchObject({ blobs: 6, copied: { files: 6 } })
          await serving(data, (berth) => fill(berth, 12, 'more'))
          const full = await run(backup(), { env: ENV })
          expect([full.code, full.stderr]).toEqual([1, expect.stringContaining('the disk is full')])
          expect(await report(restore(join(folder, 'before'), '--verify'))).toMatchObject({ blobs: 6, missing: [] })
          await must(['mount', '-o', 'remount,size=64m', target])
          expect(await report(backup())).toMatchObject({ blobs: 42, missing: [] })
          expect(await report(restore(join(folder, 'after'), '--verify'))).toMatchObject({ blobs: 42 })
        } finally {
          await run(['umount', target])
        }
      },
      TIMEOUT,
    )
  })
})
