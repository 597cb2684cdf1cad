import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockDirectory, ownerOf, refuseNetworkFileSystem } from './owner-lock.ts'

describe('the lock of a data directory', () => {
  let directory: string

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-lock-'))
  })

  afterEach(() => rmSync(directory, { recursive: true }))

  /** Another process that takes the lock, says what it got, and waits for its end. */
  async function startOwner() {
    const module = new URL('./owner-lock.ts', import.meta.url).href
    const script = `
      const { lockDirectory } = await import(${JSON.stringify(module)})
      const lock = lockDirectory(${JSON.stringify(directory)})
      console.log(lock === undefined ? 'refused' : 'locked')
      for await (const _ of process.stdin) {}
      lock?.release()`
    const owner = Bun.spawn([process.execPath, '-e', script], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' })
    const { value } = await owner.stdout.getReader().read()
    return { owner, said: new TextDecoder().decode(value).trim() }
  }

  test('is had by one holder at a time, and free after its release', () => {
    const first = lockDirectory(directory)
    expect(first).toBeDefined()
    expect(lockDirectory(directory)).toBeUndefined()
    first?.release()
    first?.release()
    const second = lockDirectory(directory)
    expect(second).toBeDefined()
    second?.release()
  })

  test('is refused to another process, even after this one was refused a second time', async () => {
    const lock = lockDirectory(directory)
    expect(lockDirectory(directory)).toBeUndefined()
    const { owner, said } = await startOwner()
    owner.kill(9)
    await owner.exited
    expect(said).toBe('refused')
    lock?.release()
  })

  test.each([
    ['that is killed', 'SIGKILL'],
    ['that ends by itself', undefined],
  ] as const)('goes with a process %s', async (_, signal) => {
    const { owner, said } = await startOwner()
    expect(said).toBe('locked')
    expect(lockDirectory(directory)).toBeUndefined()
    if (signal === undefined) await owner.stdin.end()
    else owner.kill(signal)
    await owner.exited
    const lock = lockDirectory(directory)
    expect(lock).toBeDefined()
    lock?.release()
  })

  test.skipIf(!existsSync('/proc/locks'))('tells which process has it', async () => {
    expect(ownerOf(directory)).toBeUndefined()
    const { owner } = await startOwner()
    expect(ownerOf(directory)).toBe(owner.pid)
    owner.stdin.end()
    await owner.exited
    expect(ownerOf(directory)).toBeUndefined()
  })

  test('is a file that its owner alone can read', () => {
    const lock = lockDirectory(directory)
    expect(statSync(join(directory, 'berth.lock')).mode & 0o777).toBe(0o600)
    lock?.release()
  })

  test('of a directory that is not there is an error with its path', () => {
    expect(() => lockDirectory(join(directory, 'none'))).toThrow(join(directory, 'none', 'berth.lock'))
  })

  test('of a directory in which no file can be made is an error', () => {
    expect(() => lockDirectory('/proc/self/fdinfo')).toThrow('cannot lock')
  })
})

describe('a network file system', () => {
  test.each([
    ['NFS', 0x6969],
    ['SMB', 0x517b],
    ['CIFS', 0xff534d42],
    ['CIFS', 0xff534d42 | 0],
    ['SMB 2', 0xfe534d42],
  ])('of kind %s (%d) is refused with the remedy', (kind, type) => {
    const refuse = () => refuseNetworkFileSystem('/data', () => type)
    expect(refuse).toThrow(`(${kind})`)
    expect(refuse).toThrow('metadata.path')
  })

  test('is not what ext4 or tmpfs are', () => {
    for (const type of [0xef53, 0x01021994]) refuseNetworkFileSystem('/data', () => type)
    refuseNetworkFileSystem(tmpdir())
  })

  test('is found above a folder that is not there yet', () => {
    const typeOf = (path: string) => {
      if (path === '/mnt') return 0x6969
      throw Object.assign(new Error('no such folder'), { code: 'ENOENT' })
    }
    expect(() => refuseNetworkFileSystem('/mnt/a/b', typeOf)).toThrow('NFS')
  })
})
