import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { scratchFolder } from '../../test/scratch.ts'
import { digestOf, hexOf } from '../oci/digest.ts'
import { BLOBS_ROOT } from './distribution-path.ts'
import { openFilesystem } from './filesystem.ts'
import { body, content, expectFault, expectObject, keysOf, split } from './storage.fixture.ts'
import { storageSuite } from './storage.suite.ts'
import type { Storage } from './storage.ts'

const MIB = 1024 * 1024

async function temporaryDirectory(): Promise<string> {
  return scratchFolder('berth-storage-')
}

storageSuite('the filesystem', async () => {
  const directory = await temporaryDirectory()
  let storage = await openFilesystem({ directory })
  return {
    storage,
    reopen: async () => {
      await storage.close()
      storage = await openFilesystem({ directory })
      return storage
    },
    stored: (id) => statSync(join(directory, 'berth-uploads', id), { throwIfNoEntry: false })?.size ?? 0,
    readAhead: 2 * MIB + 64 * 1024,
    dispose: async () => {
      await storage.close()
      await rm(directory, { recursive: true })
    },
  }
})

describe('the filesystem', () => {
  let directory: string
  let storage: Storage
  let generations: string[]
  beforeEach(async () => {
    directory = await temporaryDirectory()
    generations = ['gen1', 'gen2', 'gen3']
    storage = await openFilesystem({ directory, newGeneration: () => generations.shift() ?? 'none-left' })
  })
  afterEach(async () => {
    await storage.close()
    await rm(directory, { recursive: true, force: true })
  })

  const store = async (id: string, bytes: Uint8Array, avoid: string[] = []): Promise<string> => {
    const { upload } = await storage.append(await storage.begin(id), body([bytes.slice()]), 'sha256')
    return storage.seal(upload, digestOf(bytes), avoid)
  }
  const folderOf = (bytes: Uint8Array): string => {
    const hex = hexOf(digestOf(bytes))
    return `${BLOBS_ROOT}/sha256/${hex.slice(0, 2)}/${hex}`
  }
  const openDescriptors = (): number => readdirSync('/proc/self/fd').length

  test('keeps a blob where registry:2 has it, and a later one of that digest beside it', async () => {
    const bytes = content(10, 1)
    const folder = folderOf(bytes)
    expect(await store('one', bytes)).toBe(`${folder}/data`)
    expect(await store('two', bytes, [`${folder}/data`])).toBe(`${folder}/data.gen1`)
    const avoid = [`${folder}/data`, `${folder}/data.gen1`, `${folder}/data.gen2`]
    expect(await store('three', bytes, avoid)).toBe(`${folder}/data.gen3`)
    expect(await store('four', bytes, [`${folder}/data.gen1`])).toBe(`${folder}/data`)
    expect(readdirSync(join(directory, folder)).sort()).toEqual(['data', 'data.gen1', 'data.gen3'])
    expect(readdirSync(join(directory, 'berth-uploads'))).toEqual([])
    const path = join(directory, folder, 'data')
    expect(await storage.open(`${folder}/data`)).toEqual({ kind: 'file', path, size: 10 })
  })

  test('keeps a sha512 blob below its own algorithm', async () => {
    const digest = digestOf(content(10, 1), 'sha512')
    const hex = hexOf(digest)
    const { upload } = await storage.append(await storage.begin('one'), body([content(10, 1)]), 'sha512')
    expect(await storage.seal(upload, digest, [])).toBe(`${BLOBS_ROOT}/sha512/${hex.slice(0, 2)}/${hex}/data`)
  })

  test('refuses a generation that could leave the folder', async () => {
    const bytes = content(10, 1)
    generations = ['../../x']
    await expectFault(store('one', bytes, [`${folderOf(bytes)}/data`]), 'failed')
  })

  test('adopts the blobs of a registry:2 directory, and only those', async () => {
    const bytes = content(1_000, 2)
    const folder = folderOf(bytes)
    await Bun.write(join(directory, folder, 'data'), bytes)
    await Bun.write(join(directory, folder, 'data.5f0e.tmp'), 'interrupted')
    await Bun.write(join(directory, folder, 'other'), 'x')
    await Bun.write(join(directory, BLOBS_ROOT, 'sha256/zz/data'), 'x')
    await Bun.write(join(directory, BLOBS_ROOT, 'md5/ab/abcd/data'), 'x')
    await Bun.write(join(directory, BLOBS_ROOT, 'stray'), 'x')
    await Bun.write(join(directory, 'docker/registry/v2/repositories/a/_layers/x/link'), 'x')
    mkdirSync(join(directory, folderOf(content(1, 3)), 'data'), { recursive: true })
    expect(await keysOf(storage)).toEqual([`${folder}/data`])
    await expectObject(storage, `${folder}/data`, bytes)
    expect(await storage.open(`${folderOf(content(1, 3))}/data`)).toBeUndefined()
  })

  const hex = hexOf(digestOf(new Uint8Array(0)))
  const shard = hex.slice(0, 2)
  for (const [sentence, key] of [
    ['that is absolute', '/etc/passwd'],
    ['that climbs', `${BLOBS_ROOT}/sha256/${shard}/../../../../../../etc/passwd`],
    ['that climbs to a file named data', `${BLOBS_ROOT}/../../../../data`],
    ['of another folder', 'docker/registry/v2/repositories/a/_manifests/x/link'],
    ['of an upload', 'berth-uploads/one'],
    ['of a wrong shard', `${BLOBS_ROOT}/sha256/00/${hex}/data`],
    ['with a file name of no blob', `${BLOBS_ROOT}/sha256/${shard}/${hex}/data.x.tmp`],
    ['with a NUL', `${BLOBS_ROOT}/sha256/${shard}/${hex}/data\0`],
    ['that goes on after the file', `${BLOBS_ROOT}/sha256/${shard}/${hex}/data/x`],
    ['that is empty', ''],
  ] as const) {
    test(`refuses a key ${sentence}`, async () => {
      await expectFault(storage.open(key), 'failed')
      await expectFault(storage.delete(key), 'failed')
    })
  }

  for (const id of ['', '..', 'a/b', 'a\0', '../x', 'a b']) {
    test(`refuses the upload id ${JSON.stringify(id)}`, async () => {
      const upload = { id, size: 0, state: '' }
      await expectFault(storage.begin(id), 'failed')
      await expectFault(storage.append(upload, body([]), 'sha256'), 'failed')
      await expectFault(storage.seal(upload, digestOf(new Uint8Array(0)), []), 'failed')
      await expectFault(storage.abort(upload), 'failed')
    })
  }

  test('does not begin an upload twice', async () => {
    await storage.begin('one')
    await expectFault(storage.begin('one'), 'failed')
  })

  test('cuts off what a crash left beyond the recorded size', async () => {
    const bytes = content(MIB, 4)
    const first = await storage.append(await storage.begin('longer'), body([bytes.slice(0, 600_000)]), 'sha256')
    appendFileSync(join(directory, 'berth-uploads/longer'), 'never recorded')
    expect(await storage.sizeOf(first.upload)).toBe(600_014)
    const second = await storage.append(first.upload, body([bytes.slice(600_000)]), 'sha256')
    expect(second).toEqual({ upload: { ...first.upload, size: MIB }, digest: digestOf(bytes), interrupted: undefined })
    appendFileSync(join(directory, 'berth-uploads/longer'), 'never recorded either')
    expect(await storage.digest(second.upload, 'sha256')).toBe(digestOf(bytes))
    await expectObject(storage, await storage.seal(second.upload, digestOf(bytes), []), bytes)
  })

  test('refuses to go on with a file that lost bytes, and says how many it has', async () => {
    const { upload } = await storage.append(await storage.begin('shorter'), body([content(500, 5)]), 'sha256')
    truncateSync(join(directory, 'berth-uploads/shorter'), 499)
    expect(await storage.sizeOf(upload)).toBe(499)
    await expectFault(storage.append(upload, body([content(1, 1)]), 'sha256'), 'failed')
    await expectFault(storage.digest(upload, 'sha256'), 'failed')
    await expectFault(storage.seal(upload, digestOf(content(500, 5)), []), 'failed')
    expect(await keysOf(storage)).toEqual([])
  })

  test('fails, and does not hang, when the file of an upload is gone', async () => {
    const { upload } = await storage.append(await storage.begin('lost'), body([content(500, 5)]), 'sha256')
    rmSync(join(directory, 'berth-uploads/lost'))
    expect(await storage.sizeOf(upload)).toBeUndefined()
    await expectFault(storage.append(upload, body(split(content(8 * MIB, 1), 64 * 1024)), 'sha256'), 'failed')
    await expectFault(storage.digest(upload, 'sha256'), 'failed')
    await expectFault(storage.seal(upload, digestOf(content(500, 5)), []), 'failed')
    await storage.abort(upload)
  })

  test('removes the directories that a delete leaves empty, and no others', async () => {
    const bytes = content(10, 6)
    const folder = join(directory, folderOf(bytes))
    const first = await store('one', bytes)
    const second = await store('two', bytes, [first])
    await storage.delete(first)
    expect(existsSync(folder)).toBe(true)
    await storage.delete(second)
    expect(existsSync(folder)).toBe(false)
    expect(readdirSync(join(directory, BLOBS_ROOT, 'sha256'))).toEqual([])
  })

  test('seals into a folder while the collector empties it', async () => {
    const bytes = content(10, 7)
    let old = await store('start', bytes)
    generations = Array.from({ length: 200 }, (_, index) => `race${index}`)
    for (let round = 0; round < 200; round++) {
      const [next, deleted] = await Promise.all([store(`round-${round}`, bytes, [old]), storage.delete(old)])
      expect(deleted).toBe(true)
      expect(await keysOf(storage)).toEqual([next])
      old = next
    }
    await expectObject(storage, old, bytes)
  })

  test('seals although the directories vanish as it makes them', async () => {
    const bytes = content(10, 7)
    const folder = join(directory, folderOf(bytes))
    // Another process, for its rmdir must come between two calls of the thread that seals.
    const hammer = `
      const { rmdirSync } = require('node:fs')
      const { dirname } = require('node:path')
      const folder = ${JSON.stringify(folder)}
      process.stdout.write('ready')
      for (const end = Date.now() + 30_000; Date.now() < end; ) {
        try { rmdirSync(folder) } catch {}
        try { rmdirSync(dirname(folder)) } catch {}
      }
    `
    const child = Bun.spawn([process.execPath, '-e', hammer], { stdout: 'pipe', stderr: 'inherit', timeout: 30_000 })
    try {
      await child.stdout.getReader().read()
      for (let round = 0; round < 300; round++) {
        const key = await store(`hammered-${round}`, bytes)
        expect(await storage.delete(key)).toBe(true)
      }
    } finally {
      child.kill()
      await child.exited
    }
    await expectObject(storage, await store('after', bytes), bytes)
  }, 120_000)

  test('leaves no descriptor open after 200 appends that were interrupted or refused', async () => {
    const round = async (index: number) => {
      const failure = new Error('the client has gone')
      const chunks = split(content(index * 1_000, index), 20_000)
      const { upload } = await storage.append(await storage.begin(`fd-${index}`), body(chunks, failure), 'sha256')
      await expectFault(storage.append({ ...upload, size: upload.size + 1 }, body([]), 'sha256'), 'failed')
      if (index % 2 === 0) await storage.digest(upload, 'sha256')
      if (index % 3 === 0) await storage.abort(upload)
    }
    for (let index = 0; index < 10; index++) await round(index)
    const before = openDescriptors()
    for (let index = 10; index < 210; index++) await round(index)
    // Fewer, where a thread of the test before was still ending.
    expect(openDescriptors()).toBeLessThanOrEqual(before)
  }, 120_000)

  test('frees its threads and descriptors when it is closed, and fails what comes after', async () => {
    const { upload } = await storage.append(await storage.begin('last'), body([content(10, 8)]), 'sha256')
    await Promise.all([storage.close(), storage.close()])
    await expectFault(storage.append(upload, body([content(1, 1)]), 'sha256'), 'failed')
    await expectFault(storage.begin('later'), 'failed')
  })

  test('finishes what runs before it closes', async () => {
    const bytes = content(6 * MIB, 9)
    const begun = await storage.begin('running')
    const appending = storage.append(begun, body(split(bytes, 64 * 1024)), 'sha256')
    await Bun.sleep(0)
    const [{ digest }] = await Promise.all([appending, storage.close()])
    expect(digest).toBe(digestOf(bytes))
  })

  test('does not keep a process alive that forgot to close it', async () => {
    const script = `
      const { openFilesystem } = await import(${JSON.stringify(join(import.meta.dir, 'filesystem.ts'))})
      const storage = await openFilesystem({ directory: ${JSON.stringify(directory)} })
      const { upload } = await storage.append(await storage.begin('child'), (async function* () { yield Buffer.from('x') })(), 'sha256')
      process.stdout.write(String(upload.size))
    `
    const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'inherit', timeout: 100_000 })
    expect(await new Response(child.stdout).text()).toBe('1')
    expect({ code: await child.exited, signal: child.signalCode }).toEqual({ code: 0, signal: null })
  }, 120_000)

  test('says that a place where no directory can be made is of no use', async () => {
    await Bun.write(join(directory, 'file'), '')
    await expectFault(openFilesystem({ directory: join(directory, 'file', 'below') }), 'failed')
  })
})

describe('a filesystem of 8 MiB', () => {
  const mountable = process.platform === 'linux' && process.getuid?.() === 0 && canMount()
  const onSmallDisk = mountable ? test : test.skip

  let directory: string
  let storage: Storage
  beforeEach(async () => {
    if (!mountable) return
    directory = await temporaryDirectory()
    run('mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory)
    storage = await openFilesystem({ directory })
  })
  afterEach(async () => {
    if (!mountable) return
    await storage.close()
    run('umount', directory)
    await rm(directory, { recursive: true })
  })

  onSmallDisk(
    'that fills up keeps the upload as it was before, and goes on when there is room (needs root, to mount)',
    async () => {
      const bytes = content(3 * MIB, 1)
      const filler = await storage.append(
        await storage.begin('filler'),
        body(split(content(4 * MIB, 2), 70_000)),
        'sha256',
      )
      const first = await storage.append(await storage.begin('full'), body([bytes.slice(0, 2 * MIB)]), 'sha256')
      const more = split(content(20 * MIB, 3), 64 * 1024)
      await expectFault(storage.append(first.upload, body(more), 'sha256'), 'no-space')
      expect(await storage.sizeOf(first.upload)).toBe(2 * MIB)
      expect(await storage.digest(first.upload, 'sha256')).toBe(digestOf(bytes.subarray(0, 2 * MIB)))
      await storage.abort(filler.upload)
      const second = await storage.append(first.upload, body([bytes.slice(2 * MIB)]), 'sha256')
      expect(second.digest).toBe(digestOf(bytes))
      await expectObject(storage, await storage.seal(second.upload, digestOf(bytes), []), bytes)
    },
  )

  onSmallDisk('that turned read-only says so (needs root, to mount)', async () => {
    const { upload } = await storage.append(await storage.begin('one'), body([content(10, 1)]), 'sha256')
    run('mount', '-o', 'remount,ro', directory)
    await expectFault(storage.begin('two'), 'read-only')
    await expectFault(storage.append(upload, body([content(1, 1)]), 'sha256'), 'read-only')
    await expectFault(storage.seal(upload, digestOf(content(10, 1)), []), 'read-only')
    await expectFault(openFilesystem({ directory: join(directory, 'new') }), 'read-only')
    expect(await storage.sizeOf(upload)).toBe(10)
  })
})

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command)
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stderr.toString()}`)
}

/** Containers often have a root user who may not mount. */
function canMount(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'berth-mount-'))
  try {
    run('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory)
    run('umount', directory)
    return true
  } catch {
    return false
  } finally {
    rmSync(directory, { recursive: true })
  }
}
