import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { scratchFolder } from '../../test/scratch.ts'
import { digest, type Opened, pushBlob, putManifest, REPOSITORY, refusal, upload } from './examples.suite.ts'
import { metadataSuite } from './metadata.suite.ts'
import type { Metadata } from './metadata.ts'
import { openQuickly } from './sqlite.fixture.ts'
import { openSqlite } from './sqlite.ts'

type Temporary = Required<Opened> & { path: string }

const openTemporary = () => open(mkdtempSync(join(tmpdir(), 'berth-metadata-')), openSqlite)
/** What a statement means does not depend on the disk, nor on the age of the thread. */
const openContract = () => open(scratchFolder('berth-metadata-'), openQuickly)

async function open(directory: string, openFirst: typeof openSqlite): Promise<Temporary> {
  const path = join(directory, 'berth.db')
  const opened = {
    path,
    metadata: await openFirst({ path, now: () => 1 }),
    async execute(sql: string) {
      using database = new Database(path)
      database.run('PRAGMA foreign_keys = ON')
      database.run('PRAGMA busy_timeout = 5000')
      database.run(sql)
    },
    async damage(sql: string) {
      using database = new Database(path)
      database.run('PRAGMA foreign_keys = OFF')
      database.run('PRAGMA busy_timeout = 5000')
      database.run(sql)
    },
    async reopen() {
      await opened.metadata.close()
      opened.metadata = await openSqlite({ path, now: () => 2 })
      return opened.metadata
    },
    async close() {
      await opened.metadata.close()
      rmSync(directory, { recursive: true })
    },
  }
  return opened
}

metadataSuite('metadata in SQLite', openContract)

describe('the SQLite file', () => {
  let opened: Awaited<ReturnType<typeof openTemporary>>
  let metadata: Metadata

  beforeEach(async () => {
    opened = await openTemporary()
    metadata = opened.metadata
  })

  afterEach(() => opened.close())

  test('can be read by its owner alone, with its log', async () => {
    await pushBlob(metadata, 'layer')
    const modes = readdirSync(join(opened.path, '..')).map(
      (name) => statSync(join(opened.path, '..', name)).mode & 0o777,
    )
    expect(modes).toEqual([0o600, 0o600, 0o600])
  })

  test('is all that is left after close: the log is written back', async () => {
    await pushBlob(metadata, 'layer')
    expect(existsSync(`${opened.path}-wal`)).toBe(true)
    await metadata.close()
    expect(readdirSync(join(opened.path, '..'))).toEqual(['berth.db'])
  })

  test('has a log that is used again instead of growing with each write', async () => {
    // About 30 MB of changes; the log is written back every 4 MB.
    for (let round = 0; round < 30; round++) {
      const bytes = new Uint8Array(1_000_000).fill(round)
      await metadata.manifests.put({
        repository: REPOSITORY,
        digest: digest(`${round}`),
        mediaType: 'text/m',
        bytes,
        tags: ['latest'],
        references: [],
        subject: undefined,
        artifactType: undefined,
        annotations: undefined,
        now: 1,
        actor: '',
      })
      await metadata.manifests.resolve(REPOSITORY, 'latest')
    }
    expect(statSync(`${opened.path}-wal`).size).toBeLessThan(12_000_000)
  })

  test('refuses a database that a newer program made, says so, and leaves it as it was', async () => {
    await opened.execute("INSERT INTO migrations VALUES (999, 'of the future', 1)")
    await metadata.close()
    expect(await refusal(openSqlite({ path: opened.path }))).toMatchObject({
      name: 'MetadataError',
      fault: 'failed',
      message: expect.stringContaining('schema version 999'),
    })
    await opened.execute('DELETE FROM migrations WHERE version = 999')
    await opened.reopen()
  })

  test('refuses a file that is no database', async () => {
    const path = `${opened.path}.txt`
    writeFileSync(path, 'this is text, not a database. '.repeat(100))
    expect(await refusal(openSqlite({ path }))).toMatchObject({ name: 'MetadataError', fault: 'corrupt' })
  })

  test('that cannot be made is told with its path', async () => {
    const path = join(opened.path, 'below', 'a-file.db')
    expect(await refusal(openSqlite({ path }))).toMatchObject({
      fault: 'failed',
      message: expect.stringContaining(path),
    })
  })

  test('two of them in one process know nothing of each other', async () => {
    const other = await openTemporary()
    try {
      await Promise.all([
        putManifest(metadata, 'here', { tags: ['latest'] }),
        putManifest(other.metadata, 'there', { tags: ['latest'] }),
      ])
      expect((await metadata.manifests.resolve(REPOSITORY, 'latest'))?.digest).toBe(digest('here'))
      expect((await other.metadata.manifests.resolve(REPOSITORY, 'latest'))?.digest).toBe(digest('there'))
    } finally {
      await other.close()
    }
  })

  test('one call that fails takes none of the calls beside it along', async () => {
    await metadata.uploads.start(upload({ id: 'taken' }))
    const settled = await Promise.allSettled([
      pushBlob(metadata, 'one'),
      metadata.uploads.start(upload({ id: 'taken' })),
      pushBlob(metadata, 'two'),
    ])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await metadata.blobs.locate(digest('one'))).toBeDefined()
    expect(await metadata.blobs.locate(digest('two'))).toBeDefined()
  })

  test('takes more calls at once than one transaction holds', async () => {
    const seeds = Array.from({ length: 700 }, (_, index) => `layer ${index}`)
    await Promise.all(seeds.map((seed) => pushBlob(metadata, seed)))
    for (const seed of seeds) expect(await metadata.blobs.find(REPOSITORY, digest(seed))).toBeDefined()
  })

  test('lists longer than a short page are the same list', async () => {
    const names = Array.from({ length: 1500 }, (_, index) => `v${index}`)
    await putManifest(metadata, 'image', { tags: names })
    expect(await metadata.tags.list(REPOSITORY, { limit: 1_000_000 })).toEqual([...names].sort())
    expect(await metadata.tags.list(REPOSITORY, { limit: 1000 })).toEqual([...names].sort().slice(0, 1000))
  })

  test('a write while another program holds the lock fails at once, and the next one works', async () => {
    using other = new Database(opened.path)
    other.run('BEGIN IMMEDIATE')
    expect(await refusal(pushBlob(metadata, 'layer'))).toMatchObject({ name: 'MetadataError', fault: 'failed' })
    other.run('ROLLBACK')
    await pushBlob(metadata, 'layer')
    expect(await metadata.blobs.locate(digest('layer'))).toBeDefined()
  })
})

test('what was acknowledged before the process was killed is there, and the database opens as ever', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'berth-killed-'))
  const path = join(directory, 'berth.db')
  const file = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
  const script = `
    const { openSqlite } = await import(${file('./sqlite.ts')})
    const { pushBlob } = await import(${file('./examples.suite.ts')})
    const metadata = await openSqlite({ path: ${JSON.stringify(path)} })
    let next = 0
    const push = async () => {
      for (let turn = 0; turn < 10000; turn++) {
        const seed = 'layer ' + next++
        await pushBlob(metadata, seed)
        process.stdout.write(seed + '\\n')
      }
    }
    await Promise.all(Array.from({ length: 8 }, push))`
  const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'inherit' })
  let said = ''
  for await (const chunk of child.stdout) {
    said += new TextDecoder().decode(chunk)
    if (said.split('\n').length > 200) child.kill(9)
  }
  await child.exited
  const acknowledged = said.split('\n').slice(0, -1)
  expect(acknowledged.length).toBeGreaterThan(100)
  const metadata = await openSqlite({ path })
  for (const seed of acknowledged) expect(await metadata.blobs.find(REPOSITORY, digest(seed))).toBeDefined()
  await metadata.close()
  rmSync(directory, { recursive: true })
})

describe('a full disk', () => {
  const isMountable = withSmallDisk(() => {}) !== undefined

  test.skipIf(!isMountable)(
    'acknowledges nothing, loses nothing, and takes writes again when there is room',
    async () => {
      await withSmallDisk(async (directory) => {
        const metadata = await openSqlite({ path: join(directory, 'berth.db') })
        try {
          await putManifest(metadata, 'before', { tags: ['latest'] })
          fill(join(directory, 'filler'))
          const manifest = 'x'.repeat(200_000)
          const settled = await Promise.allSettled([
            putManifest(metadata, manifest, { tags: ['latest'] }),
            putManifest(metadata, `${manifest}y`, { tags: ['latest'] }),
          ])
          for (const outcome of settled) {
            expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'MetadataError', fault: 'no-space' } })
          }
          expect((await metadata.manifests.resolve(REPOSITORY, 'latest'))?.digest).toBe(digest('before'))
          expect(await metadata.manifests.find(REPOSITORY, digest(manifest))).toBeUndefined()
          unlinkSync(join(directory, 'filler'))
          await putManifest(metadata, 'after', { tags: ['latest'] })
          expect((await metadata.manifests.resolve(REPOSITORY, 'latest'))?.digest).toBe(digest('after'))
        } finally {
          await metadata.close()
        }
      })
    },
  )

  test.skipIf(!isMountable).each([
    ['does all that failed for want of space once more, where somebody makes room', true],
    ['fails them where nobody can', false],
  ])('%s', async (_, hasReserve) => {
    await withSmallDisk(async (directory) => {
      let asked = 0
      const onNoSpace = () => {
        asked++
        if (hasReserve) unlinkSync(join(directory, 'reserve'))
        return hasReserve
      }
      writeFileSync(join(directory, 'reserve'), new Uint8Array(600_000))
      const metadata = await openSqlite({ path: join(directory, 'berth.db'), onNoSpace })
      try {
        await putManifest(metadata, 'before', { tags: ['latest'] })
        fill(join(directory, 'filler'))
        const manifest = 'x'.repeat(100_000)
        const settled = await Promise.allSettled(
          ['a', 'b'].map((seed) => putManifest(metadata, `${manifest}${seed}`, { tags: [seed] })),
        )
        expect(settled.map(({ status }) => status)).toEqual(Array(2).fill(hasReserve ? 'fulfilled' : 'rejected'))
        expect(asked).toBe(1)
        const found = await Promise.all(['a', 'b'].map((tag) => metadata.manifests.resolve(REPOSITORY, tag)))
        expect(found.map((one) => one !== undefined)).toEqual([hasReserve, hasReserve])
        expect((await metadata.manifests.resolve(REPOSITORY, 'latest'))?.digest).toBe(digest('before'))
      } finally {
        await metadata.close()
      }
    })
  })

  /** Runs `body` with a file system of 2 MiB; undefined where this process may not mount one. */
  function withSmallDisk<T>(body: (directory: string) => T | Promise<T>): Promise<T> | undefined {
    const directory = mkdtempSync(join(tmpdir(), 'berth-full-'))
    const unmount = () => {
      run('umount', directory)
      rmdirSync(directory)
    }
    if (!run('mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory)) {
      rmdirSync(directory)
      return undefined
    }
    return Promise.resolve(body(directory)).finally(unmount)
  }

  function fill(path: string): void {
    for (const size of [1 << 20, 1 << 16, 1 << 12]) {
      for (let turn = 0; turn < 300; turn++) {
        try {
          writeFileSync(path, new Uint8Array(size), { flag: 'a' })
        } catch {
          break
        }
      }
    }
  }

  function run(...command: string[]): boolean {
    return Bun.which(command[0] ?? '') !== null && Bun.spawnSync(command).exitCode === 0
  }
})
