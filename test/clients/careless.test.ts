import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { peakMebibytesIfThere } from '../bench/process-figures.ts'
import { fill, isRoot, mountSmallDisk } from '../crash/small-disk.ts'
import { makeImage, noise, pushImage, writeLayout } from '../image.ts'
import { cleanEnvironment, must } from '../programs.ts'
import { BERTH } from '../start-berth.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { openVerbShell } from './verb-shell.ts'

const IMAGE = makeImage({ layers: [2000], seed: 'careless' })
let registry: TestRegistry
let folder = ''
let app = ''
const shell = openVerbShell('/nonexistent')
beforeAll(async () => {
  registry = await startRegistry()
  app = `127.0.0.1:${registry.port}/app`
  folder = mkdtempSync(join(tmpdir(), 'berth-careless-'))
  await pushImage(registry.url, 'app', IMAGE, { tag: 'v1' })
  writeLayout(join(folder, 'layout'), IMAGE, 'v1')
  writeFileSync(join(folder, 'file'), 'x')
  await must(['mkfifo', join(folder, 'pipe')])
})
afterAll(async () => {
  await registry?.stop()
  rmSync(folder, { recursive: true, force: true })
})
const at = (name: string) => join(folder, name)

describe('a path that leads to no image', () => {
  test.each<[string, () => string[], number, string]>([
    ['push of what lies in a file', () => ['push', `${at('file')}/..`, app], 2, 'there is no FOLDER/file/..'],
    ['validate of what lies in a file', () => ['validate', `${at('file')}/x`], 2, 'there is no FOLDER/file/x'],
    ['push of a pipe', () => ['push', at('pipe'), app], 64, 'FOLDER/pipe is neither a file nor a directory'],
    ['push of a device', () => ['push', '/dev/zero', app], 64, '/dev/zero is neither a file nor a directory'],
    [
      'push of a name beyond all names',
      () => ['push', at('n'.repeat(300)), app],
      1,
      `cannot read FOLDER/${'n'.repeat(300)}: name too long`,
    ],
    ['blob put of a directory', () => ['blob', 'put', app, folder], 64, 'FOLDER is a directory, and no file'],
    [
      'blob put of a pipe',
      () => ['blob', 'put', app, at('pipe')],
      64,
      'FOLDER/pipe is a pipe or a device, and no file',
    ],
    [
      'blob put of what lies in a file',
      () => ['blob', 'put', app, `${at('file')}/x`],
      1,
      'cannot read FOLDER/file/x: not a directory',
    ],
    [
      'manifest into a directory',
      () => ['manifest', `${app}:v1`, '-o', folder],
      64,
      'FOLDER is a directory, and no file',
    ],
    ['pull into a pipe', () => ['pull', `${app}:v1`, at('pipe')], 64, 'FOLDER/pipe is a pipe or a device, and no file'],
  ])('%s', async (_, args, code, message) => {
    const shown = await shell.run(...args())
    expect({ out: shown.out, code: shown.code }).toEqual({ out: '', code })
    expect(shown.error.split('\n')[0]).toBe(`berth: ${message.replaceAll('FOLDER', folder)}`)
    expect(shown.error).toMatch(/^berth: [^\n]+\n(Hint: [^\n]+\n)?$/)
  })
})

test('what is written to /dev/null leaves it as it is', async () => {
  const { rdev, ino } = lstatSync('/dev/null')
  for (const args of [
    ['pull', '-q', `${app}:v1`, '/dev/null'],
    ['manifest', `${app}:v1`, '-o', '/dev/null'],
    ['blob', 'get', `${app}@${IMAGE.config.digest}`, '-o', '/dev/null'],
  ]) {
    expect(await shell.run(...args)).toMatchObject({ code: 0, error: '' })
  }
  expect(lstatSync('/dev/null')).toMatchObject({ rdev, ino })
})

describe('a layout', () => {
  test('whose index.json says another size of its image is a problem for validate, and is not pushed', async () => {
    const path = at('sizes')
    writeLayout(path, IMAGE, 'v1')
    const index = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8'))
    index.manifests[0].size = 7
    writeFileSync(join(path, 'index.json'), JSON.stringify(index))
    const has = `${IMAGE.manifest.bytes.length} bytes, and its index says 7`
    const found = await shell.run('validate', path, '-f', 'json')
    expect([found.code, JSON.parse(found.out).problems]).toEqual([
      1,
      [{ digest: IMAGE.manifest.digest, problem: `it has ${has}` }],
    ])
    expect(await shell.run('push', '-q', path, `${app}-sizes:v1`)).toEqual({
      ...{ out: '', code: 1, error: `berth: ${path}@${IMAGE.manifest.digest} has ${has}\n` },
    })
    expect((await shell.run('digest', `${app}-sizes:v1`)).code).toBe(2)
  })

  test('leads to no file outside of it, neither by its names nor by its links', async () => {
    const secret = JSON.stringify({ rootfs: { diff_ids: [] }, secret: 'mine' })
    writeFileSync(at('secret.json'), secret)
    for (const [name, config] of [
      ['up', '../secret.json'],
      ['link', 'config.json'],
      ['far', at('secret.json')],
    ] as const) {
      const path = at(`archive-${name}`)
      mkdirSync(path)
      if (name === 'link') symlinkSync('../secret.json', join(path, 'config.json'))
      writeFileSync(join(path, 'manifest.json'), JSON.stringify([{ Config: config, RepoTags: ['a:v1'], Layers: [] }]))
      expect(await shell.run('push', '-q', path, `${app}-secret:v1`)).toEqual({
        ...{ out: '', code: 2, error: `berth: ${path} has no ${config}\n` },
      })
    }
    const blob = `${app}-secret@${digestOf(Buffer.from(secret))}`
    expect((await shell.run('blob', 'head', blob)).code).toBe(2)
  })

  test('whose blobs are links, as build systems make them, is read all the same', async () => {
    const path = at('linked')
    mkdirSync(join(path, 'blobs'), { recursive: true })
    symlinkSync(at('layout/blobs/sha256'), join(path, 'blobs/sha256'))
    for (const name of ['index.json', 'oci-layout']) symlinkSync(at(`layout/${name}`), join(path, name))
    expect(await shell.run('push', '-q', path, `${app}-linked:v1`)).toMatchObject({ code: 0, error: '' })
    expect((await shell.run('digest', `${app}-linked:v1`)).out.trim()).toBe(IMAGE.manifest.digest)
  })

  test('whose index.json cannot be read is not written over', async () => {
    const path = at('unreadable')
    writeLayout(path, IMAGE, 'v1')
    rmSync(join(path, 'index.json'))
    mkdirSync(join(path, 'index.json'))
    const shown = await shell.run('pull', '-q', '--format', 'oci', `${app}:v1`, path)
    expect(shown).toMatchObject({ out: '', code: 1, error: expect.stringMatching(/^berth: cannot read [^\n]+\n$/) })
  })
})

describe('a folder for what is unpacked', () => {
  test('that is not there is told', async () => {
    const lost = openVerbShell('/nonexistent', [], { TMPDIR: at('nowhere') })
    expect(await lost.run('push', at('layout'), app)).toEqual({
      ...{ out: '', code: 1, error: `berth: cannot write ${at('nowhere')}: no such file or directory\n` },
    })
  })

  test.skipIf(!isRoot)('that is full is told, and left empty', async () => {
    const disk = await mountSmallDisk('1m')
    try {
      writeFileSync(at('archive.gz'), Bun.gzipSync(noise(3_000_000, 'archive')))
      const small = openVerbShell('/nonexistent', [], { TMPDIR: disk.path })
      const shown = await small.run('push', at('archive.gz'), app)
      expect(shown).toMatchObject({ out: '', code: 1 })
      expect(shown.error).toMatch(/^berth: cannot unpack into [^\n]+: no space left on device\nHint: TMPDIR [^\n]+\n$/)
      expect(readdirSync(disk.path)).toEqual([])
      // And so is a file that finds no room.
      fill(join(disk.path, 'filler'))
      const full = await shell.run('blob', 'get', `${app}@${IMAGE.layers[0]?.digest}`, '-o', join(disk.path, 'x'))
      expect(full).toMatchObject({
        code: 1,
        error: `berth: cannot write ${join(disk.path, 'x')}: no space left on device\n`,
      })
      expect(readdirSync(disk.path)).toEqual(['filler'])
    } finally {
      await disk.remove()
    }
  })
})

describe('memory stays flat, however large a layer is, of', () => {
  const CHUNK = new Uint8Array(1024 * 1024).fill(7)
  const SIZE = 384 * CHUNK.byteLength
  /** Far below the layer, and above what the program needs for itself. */
  const MOST_MEBIBYTES = 300

  test.each<[string, string[]]>([
    ['cp', ['cp', '-q', 'HOST/from:v1', 'HOST/to:v1']],
    ['pull', ['pull', '-q', 'HOST/from:v1', '/dev/null']],
  ])('%s', async (_, words) => {
    const hash = new Bun.CryptoHasher('sha256')
    for (let size = 0; size < SIZE; size += CHUNK.byteLength) hash.update(CHUNK)
    const layer = { mediaType: 'application/octet-stream', digest: `sha256:${hash.digest('hex')}`, size: SIZE }
    const json = { ...JSON.parse(Buffer.from(IMAGE.manifest.bytes).toString()), layers: [layer] }
    const manifest = new Uint8Array(Buffer.from(JSON.stringify(json)))
    let arrived = 0
    const server = Bun.serve({
      ...{ hostname: '127.0.0.1', port: 0, idleTimeout: 0, maxRequestBodySize: 2 * SIZE, development: false },
      async fetch(request) {
        const { pathname } = new URL(request.url)
        const headers = { Location: '/v2/to/blobs/uploads/1' }
        if (pathname === '/v2/') return new Response('{}')
        if (request.method === 'PATCH') for await (const chunk of request.body ?? []) arrived += chunk.byteLength
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          return new Response('', { status: request.method === 'PUT' ? 201 : 202, headers })
        }
        if (pathname.startsWith('/v2/to/')) return new Response('', { status: 404 })
        if (pathname.endsWith(IMAGE.config.digest)) return new Response(IMAGE.config.bytes)
        if (!pathname.endsWith(layer.digest)) {
          return new Response(manifest, { headers: { 'Content-Type': IMAGE.manifest.mediaType } })
        }
        let sent = 0
        return new Response(
          new ReadableStream({
            pull(controller) {
              if (sent === SIZE) return controller.close()
              controller.enqueue(CHUNK)
              sent += CHUNK.byteLength
            },
          }),
        )
      },
    })
    const args = words.map((word) => word.replace('HOST', `127.0.0.1:${server.port}`))
    const child = Bun.spawn([BERTH, ...args], {
      env: cleanEnvironment({ HOME: folder }),
      stdin: 'ignore',
      stdout: 'ignore',
    })
    // The kernel counts for a child what its parent had when it was started (resourceUsage): it is looked at while it runs.
    let peak = 0
    const looks = setInterval(() => {
      peak = Math.max(peak, peakMebibytesIfThere(child.pid))
    }, 20)
    const code = await child.exited
    clearInterval(looks)
    await server.stop(true)
    expect(code).toBe(0)
    if (words[0] === 'cp') expect(arrived).toBe(SIZE + IMAGE.config.bytes.byteLength)
    expect(peak).toBeGreaterThan(20)
    expect(peak).toBeLessThan(MOST_MEBIBYTES)
  })
})
