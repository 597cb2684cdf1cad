import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { digestOf, hexOf } from '../oci/digest.ts'
import { pathOf } from './distribution-path.ts'
import { openFilesystem } from './filesystem.ts'
import { readName } from './quarantine-name.ts'
import type { Storage } from './storage.ts'

const BLOBS = 'docker/registry/v2/blobs'
const nothing = async () => {}

describe('what else may lie in a data directory', () => {
  const bytes = new TextEncoder().encode('a blob')
  const digest = digestOf(bytes)
  const key = pathOf({ kind: 'blob', digest })
  let directory: string
  let storage: Storage

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-inspection-'))
    storage = await openFilesystem({ directory })
    mkdirSync(dirname(join(directory, key)), { recursive: true })
  })
  afterEach(async () => {
    await storage.close()
    rmSync(directory, { recursive: true })
  })
  const put = (path: string) => writeFileSync(join(directory, path), bytes)
  const folder = (path: string) => mkdirSync(join(directory, path), { recursive: true })
  const pipe = (path: string) => expect(Bun.spawnSync(['mkfifo', join(directory, path)]).exitCode).toBe(0)
  const link = (path: string, to: string) => symlinkSync(to, join(directory, path))

  const strangers: [what: string, make: () => void, path: string, kind: string][] = [
    ['a file beside the algorithms', () => put(`${BLOBS}/notes.txt`), `${BLOBS}/notes.txt`, 'file'],
    ['a file beside the shards', () => put(`${BLOBS}/sha256/notes.txt`), `${BLOBS}/sha256/notes.txt`, 'file'],
    [
      'a folder that is no digest',
      () => folder(`${BLOBS}/sha256/zz/lost+found`),
      `${BLOBS}/sha256/zz/lost+found`,
      'folder',
    ],
    ['what an interrupted copy left', () => put(`${key}.5f3e.tmp`), `${key}.5f3e.tmp`, 'file'],
    ['a link in the place of a blob', () => link(key, '/etc/hostname'), key, 'symbolic link'],
    ['a folder in the place of a blob', () => folder(key), key, 'folder'],
    ['a strange file among the uploads', () => put('berth-uploads/a b'), 'berth-uploads/a b', 'file'],
    ['a folder among the uploads', () => folder('berth-uploads/x'), 'berth-uploads/x', 'folder'],
  ]
  test.each(strangers)('%s is a stranger', async (_, make, path, what) => {
    make()
    expect(await Array.fromAsync(storage.survey())).toEqual([
      { kind: 'stranger', path, what, size: expect.any(Number), modified: expect.any(Date) } as never,
    ])
    expect(await Array.fromAsync(storage.list())).toEqual([])
  })

  test('what has a name that is no UTF-8 is a stranger wherever it lies, and what is beside it is found', async () => {
    const name = Buffer.from([0x61, 0xff, 0x20, 0x5c])
    const places = [BLOBS, `${BLOBS}/sha256`, `${BLOBS}/sha256/zz`, dirname(key), 'berth-uploads']
    folder(`${BLOBS}/sha256/zz`)
    put(key)
    for (const place of places) {
      const path = Buffer.concat([Buffer.from(`${join(directory, place)}/`), name])
      if (place === BLOBS) mkdirSync(path)
      else writeFileSync(path, bytes)
    }
    // The sign that stands for other bytes may be a name by itself.
    put(`${BLOBS}/sha256/zz/\ufffd`)
    const survey = await Array.fromAsync(storage.survey())
    const strangers = survey.filter((each) => each.kind === 'stranger')
    expect(strangers.map(({ path, modified }) => `${path} ${modified === undefined}`).sort()).toEqual(
      [...places.map((place) => `${place}/a\\377\\040\\134 true`), `${BLOBS}/sha256/zz/\ufffd false`].sort(),
    )
    expect(survey.filter((each) => each.kind === 'object')).toMatchObject([{ key, size: 6 }])
    expect(await Array.fromAsync(storage.list())).toMatchObject([{ key }])
  })

  test('a link is examined as what it leads to, and is told from a file', async () => {
    put('elsewhere')
    link(key, join(directory, 'elsewhere'))
    expect(await storage.examine([key])).toEqual([{ size: 6, isLink: true, isReadable: true }])
    expect(await storage.hash(key, 'sha256', nothing)).toMatchObject({ kind: 'hashed', digest })
  })

  test('a link to itself has no size', async () => {
    link(key, 'data')
    expect(await storage.open(key)).toBeUndefined()
  })

  test('a link that leads nowhere is nothing, a folder and a pipe are no objects, and nobody waits for who would write to it', async () => {
    link(key, join(directory, 'nowhere'))
    folder(`${key}.gen`)
    pipe(`${key}.gen2`)
    const keys = [key, `${key}.gen`, `${key}.gen2`]
    expect(await storage.examine(keys)).toEqual([undefined, undefined, undefined])
    for (const each of keys) expect(await storage.hash(each, 'sha256', nothing)).toBeUndefined()
  })

  test.each<[string, (folder: string) => void]>([
    ['a file', (path) => put(path)],
    ['a link that leads nowhere', (path) => link(path, 'nowhere')],
    ['a link to itself', (path) => link(path, digest.slice('sha256:'.length))],
  ])(
    '%s in the place of the folder of an object goes into quarantine, and the object has its place',
    async (_, make) => {
      rmSync(dirname(join(directory, key)), { recursive: true })
      make(dirname(key))
      expect(await storage.quarantine.put(key, digest, 'now')).toBeString()
      expect(await storage.quarantine.put(key, digest, 'later')).toBeUndefined()
      folder(dirname(key))
      put(key)
      expect((await storage.open(key))?.size).toBe(bytes.byteLength)
    },
  )

  test('the folder of an object may be a link', async () => {
    folder('elsewhere')
    rmSync(dirname(join(directory, key)), { recursive: true })
    link(dirname(key), join(directory, 'elsewhere'))
    put(key)
    const name = (await storage.quarantine.put(key, digest, 'now')) ?? ''
    expect(readFileSync(join(directory, storage.quarantine.place(name)))).toEqual(Buffer.from(bytes))
  })

  test('what was found in the place of an object leaves the quarantine, whatever it is', async () => {
    const names: string[] = []
    const odd = [() => folder(`${key}/below/it`), () => pipe(key), () => link(key, join(directory, 'elsewhere'))]
    put('elsewhere')
    for (const make of odd) {
      mkdirSync(dirname(join(directory, key)), { recursive: true })
      make()
      const name = (await storage.quarantine.put(key, digest, 'now')) ?? ''
      expect(await storage.quarantine.hash(name, 'sha256', nothing)).toEqual(
        make === odd[2] ? { kind: 'hashed', digest, size: 6 } : undefined,
      )
      names.push(name)
    }
    for (const name of names)
      expect([await storage.quarantine.remove(name), await storage.quarantine.remove(name)]).toEqual([true, false])
    expect(await Array.fromAsync(storage.quarantine.list())).toEqual([])
    expect(readFileSync(join(directory, 'elsewhere'))).toEqual(Buffer.from(bytes))
  })

  test('a link goes into quarantine itself, and what it leads to stays; the folders that it leaves empty go', async () => {
    put('elsewhere')
    link(key, join(directory, 'elsewhere'))
    const name = (await storage.quarantine.put(key, digest, 'now')) ?? ''
    expect(lstatSync(join(directory, storage.quarantine.place(name))).isSymbolicLink()).toBe(true)
    expect(readFileSync(join(directory, 'elsewhere'))).toEqual(Buffer.from(bytes))
    expect(lstatSync(dirname(join(directory, key)), { throwIfNoEntry: false })).toBeUndefined()
  })

  test('objects of a digest are found whatever they are called', async () => {
    put(key)
    put(`${key}.gen1`)
    put(`${key}.5f3e.tmp`)
    const found = await storage.objectsOf(digest)
    expect(found.map((object) => object.key).sort()).toEqual([key, `${key}.gen1`])
    expect(await storage.objectsOf(digestOf(Buffer.from('another')))).toEqual([])
  })

  test('nothing outside of the storage is moved, and only names of the quarantine are touched', async () => {
    for (const path of ['../outside', '..']) {
      expect(await storage.quarantine.put(path, undefined, 'now').catch((error: Error) => error.message)).toBe(
        'not in this storage',
      )
    }
    for (const name of ['../berth.db', 'a/b', '']) {
      expect(await storage.quarantine.remove(name).catch((error: Error) => error.message)).toContain('not a name')
    }
  })

  test('names of the quarantine are read back', () => {
    const named = `sha256-${hexOf(digest)}`
    expect(readName(`${named}.20260102T030405Z`)).toEqual({ digest, stamp: '20260102T030405Z' })
    expect(readName(`${named}.20260102T030405Z-2`)).toEqual({ digest, stamp: '20260102T030405Z' })
    // As an operator may call a good copy.
    expect(readName(named)).toEqual({ digest, stamp: undefined })
    expect(readName('foreign-data.5f3e.tmp.20260102T030405Z')).toEqual({ digest: undefined, stamp: '20260102T030405Z' })
    expect(readName('notes')).toBeUndefined()
  })
})
