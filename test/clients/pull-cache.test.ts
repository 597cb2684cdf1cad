import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import { type Content, makeImage, makeIndex, pushImage } from '../image.ts'
import { run } from '../programs.ts'
import { BERTH } from '../start-berth.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { openVerbShell } from './verb-shell.ts'

const AMD = makeImage({ layers: [300_000, 10], seed: 'amd' })
const ARM = makeImage({ layers: [20], seed: 'arm', platform: { os: 'linux', architecture: 'arm64' } })
const BOTH = makeIndex([AMD, ARM])
const [LARGE = AMD.config, SMALL = AMD.config] = AMD.layers
const OF_AMD = [AMD.config, LARGE, SMALL]

let registry: TestRegistry
let front: Bun.Server<undefined>
let folder = ''
let app = ''
let cache = ''
/** Digests of blobs that were fetched. */
let fetched: string[] = []
/** What is answered in place of a blob. */
let instead: ((blob: Content) => Response) | undefined
const shell = openVerbShell('/nonexistent')
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-pull-cache-'))
  registry = await startRegistry()
  await pushImage(registry.url, 'app', BOTH, { tag: 'both' })
  await pushImage(registry.url, 'app', AMD, { tag: 'amd' })
  front = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url)
      const [, digest] = /\/blobs\/(sha256:.*)$/.exec(pathname) ?? []
      if (digest !== undefined) fetched.push(digest)
      const blob = OF_AMD.find((one) => one.digest === digest)
      if (blob !== undefined && instead !== undefined) return instead(blob)
      return await fetch(`${registry.url}${pathname}${search}`, request)
    },
  })
  app = `127.0.0.1:${front.port}/app`
})
beforeEach(() => {
  fetched = []
  instead = undefined
  cache = mkdtempSync(join(folder, 'cache-'))
})
afterAll(async () => {
  await front?.stop(true)
  await registry?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const digestsOf = (blobs: readonly Content[]) => blobs.map(({ digest }) => digest as string).sort()
const fileOf = ({ digest }: Content) => join(cache, 'blobs/sha256', hexOf(digest))
/** Each file of the cache by its name, all of which have the bytes that it says. */
function cached(): string[] {
  const names = readdirSync(join(cache, 'blobs/sha256'))
  for (const name of names) {
    expect(digestOf(readFileSync(join(cache, 'blobs/sha256', name)))).toBe(`sha256:${name}`)
  }
  return names.map((name) => `sha256:${name}`).sort()
}
let count = 0
const pull = async (...args: string[]) => {
  const path = join(folder, `pulled-${++count}.tar`)
  const shown = await shell.run('pull', '-c', cache, ...args, path)
  return { ...shown, path }
}

describe('what a pull left in the folder', () => {
  test('is not fetched again, whatever is made of it', async () => {
    const first = await pull(`${app}:amd`)
    expect(first).toMatchObject({ code: 0, error: expect.stringMatching(/\), 0 of them from [^\n]+\n$/) })
    expect(cached()).toEqual(digestsOf(OF_AMD))
    expect(fetched.sort()).toEqual(digestsOf(OF_AMD))
    fetched = []
    const second = await pull(`${app}:amd`)
    expect(second).toMatchObject({ code: 0, error: expect.stringMatching(/, 3 of them from [^\n]+\n$/) })
    expect(fetched).toEqual([])
    expect(readFileSync(second.path).equals(readFileSync(first.path))).toBe(true)
    // Of an index only what is new.
    expect(await pull('-q', '--format', 'oci', `${app}:both`)).toMatchObject({ code: 0, error: '' })
    expect(fetched.sort()).toEqual(digestsOf([ARM.config, ...ARM.layers]))
    expect(cached()).toEqual(digestsOf([...OF_AMD, ARM.config, ...ARM.layers]))
  })

  test('tells when it was used last', async () => {
    expect((await pull('-q', `${app}:amd`)).code).toBe(0)
    for (const blob of OF_AMD) utimesSync(fileOf(blob), 1, 1)
    expect((await pull('-q', `${app}:amd`)).code).toBe(0)
    for (const blob of OF_AMD) expect(statSync(fileOf(blob)).mtimeMs).toBeGreaterThan(1_000_000_000_000)
  })

  const damages: [string, (bytes: Uint8Array) => Uint8Array][] = [
    ['other bytes', (bytes) => new Uint8Array(bytes.length)],
    ['fewer bytes', (bytes) => bytes.subarray(0, bytes.length - 1)],
    ['more bytes', (bytes) => Buffer.concat([bytes, new Uint8Array(1)])],
    ['no bytes', () => new Uint8Array()],
  ]
  test.each(damages)('and has %s since is fetched anew, which is said', async (_, damage) => {
    const first = await pull('-q', `${app}:amd`)
    writeFileSync(fileOf(LARGE), damage(readFileSync(fileOf(LARGE))))
    fetched = []
    const second = await pull('-q', `${app}:amd`)
    expect(second).toMatchObject({
      ...{ error: `warning: ${LARGE.digest} in ${cache} was damaged, and has been replaced\n`, code: 0 },
    })
    expect(fetched).toEqual([LARGE.digest])
    expect(cached()).toEqual(digestsOf(OF_AMD))
    expect(readFileSync(second.path).equals(readFileSync(first.path))).toBe(true)
  })
})

describe('no file has the name of a layer', () => {
  const cases: [string, (blob: Content) => Response][] = [
    ['whose bytes are others', ({ bytes }) => new Response(new Uint8Array(bytes.length))],
    ['that ended too early', ({ bytes }) => new Response(bytes.slice(0, bytes.length - 1))],
    ['that did not come', () => new Response('no', { status: 500 })],
  ]
  test.each(cases)('%s', async (_, answer) => {
    instead = (blob) => (blob === LARGE ? answer(blob) : new Response(blob.bytes))
    expect(await pull('-q', '--jobs', '1', '--retry-times', '0', `${app}:amd`)).toMatchObject({ out: '', code: 1 })
    expect(cached()).not.toContain(LARGE.digest)
    instead = undefined
    expect(await pull('-q', `${app}:amd`)).toMatchObject({ code: 0, error: '' })
    expect(cached()).toEqual(digestsOf(OF_AMD))
  })
})

test('two processes that fill one folder at a time both have all of it', async () => {
  const waiting: (() => void)[] = []
  // Both have begun the large layer before either gets its end.
  instead = (blob) => {
    if (blob !== LARGE || waiting.length === 2) return new Response(blob.bytes)
    return new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(blob.bytes.subarray(0, 1000))
          waiting.push(() => {
            controller.enqueue(blob.bytes.subarray(1000))
            controller.close()
          })
          if (waiting.length === 2) for (const go of waiting) go()
        },
      }),
    )
  }
  const ended = await Promise.all(
    ['one.tar', 'two.tar'].map((name) =>
      run([BERTH, 'pull', '-q', '-c', cache, `${app}:amd`, join(folder, name)], { env: { HOME: folder } }),
    ),
  )
  expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(2).fill({ code: 0, stderr: '' }))
  expect(cached()).toEqual(digestsOf(OF_AMD))
  const [one, two] = ['one.tar', 'two.tar'].map((name) => readFileSync(join(folder, name)))
  expect(one?.equals(two ?? new Uint8Array())).toBe(true)
})

test('a file in place of the folder is wrong usage', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, 'mine')
  const shown = await shell.run('pull', '-q', '-c', file, `${app}:amd`, join(folder, 'never.tar'))
  expect(shown).toEqual({ out: '', error: `berth: ${file} is no directory\n`, code: 64 })
  expect(readFileSync(file, 'utf8')).toBe('mine')
  expect(readdirSync(folder)).not.toContain('never.tar')
})
