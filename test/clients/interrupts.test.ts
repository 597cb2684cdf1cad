import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage } from '../image.ts'
import { cleanEnvironment, run } from '../programs.ts'
import { BERTH } from '../start-berth.ts'

const IMAGE = makeImage({ layers: [4_000_000], seed: 'slow' })
const [LAYER] = IMAGE.layers
const LAYER_BYTES = LAYER?.bytes ?? new Uint8Array()

/** A registry whose layer stops in the middle, unless it is asked for in the repository `whole`. */
let server: Bun.Server<undefined>
let halfway = Promise.withResolvers<void>()
let home = ''
let out = ''
let temporary = ''
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'berth-interrupt-'))
  out = join(home, 'out')
  temporary = join(home, 'tmp')
  server = Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0, idleTimeout: 0, error: () => undefined },
    fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/v2/') return new Response('{}')
      const reference = pathname.split('/').at(-1)
      const isWhole = pathname.startsWith('/v2/whole/')
      if (reference === LAYER?.digest && !isWhole && request.method === 'GET') return slow()
      const found =
        reference === 'v1'
          ? IMAGE.manifest
          : [IMAGE.manifest, IMAGE.config, ...IMAGE.layers].find(({ digest }) => digest === reference)
      if (found === undefined) return new Response('', { status: 404 })
      const headers = { 'Content-Type': found.mediaType, 'Content-Length': String(found.bytes.byteLength) }
      return new Response(request.method === 'HEAD' ? null : found.bytes, { headers })
    },
  })
})
afterAll(async () => {
  await server?.stop(true)
  rmSync(home, { recursive: true, force: true })
})

function slow(): Response {
  let at = 0
  const body = new ReadableStream({
    async pull(controller) {
      if (at > LAYER_BYTES.byteLength / 2) {
        halfway.resolve()
        await new Promise(() => {})
      }
      controller.enqueue(LAYER_BYTES.slice(at, at + 65_536))
      at += 65_536
    },
  })
  return new Response(body, { headers: { 'Content-Length': String(LAYER_BYTES.byteLength) } })
}

const image = (repository = 'slow') => `127.0.0.1:${server.port}/${repository}:v1`
const blob = (repository = 'slow') => `127.0.0.1:${server.port}/${repository}@${LAYER?.digest}`
const env = () => cleanEnvironment({ HOME: home, TMPDIR: temporary })
const left = () => readdirSync(out, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())

function clear(): void {
  halfway = Promise.withResolvers()
  for (const folder of [out, temporary]) {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
  }
}

describe('an interrupt in the middle of', () => {
  test.each<[string, () => string[], NodeJS.Signals, string]>([
    [
      'pull',
      () => ['pull', image(), join(out, 'x.tar')],
      'SIGINT',
      '; nothing half is left under the name; run it again',
    ],
    [
      'pull to a layout',
      () => ['pull', '--format', 'oci', image(), join(out, 'layout')],
      'SIGTERM',
      '; nothing half is left under the name; run it again',
    ],
    ['files', () => ['files', image()], 'SIGINT', ''],
    ['cat', () => ['cat', image(), '/none'], 'SIGTERM', ''],
    [
      'blob get',
      () => ['blob', 'get', blob(), '-o', join(out, 'blob')],
      'SIGINT',
      '; nothing half is left under a name; run it again',
    ],
    ['validate', () => ['validate', image()], 'SIGINT', ''],
  ])('%s ends it with 130, and leaves nothing half', async (_, args, signal, then) => {
    clear()
    const child = Bun.spawn([BERTH, ...args()], { env: env(), stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    await halfway.promise
    child.kill(signal)
    const [code, shown, error] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
    expect([code, child.signalCode, shown]).toEqual([130, null, ''])
    expect(error).toEndWith(`berth: interrupted${then}\n`)
    // Whole blobs of a layout are for the next run.
    expect(left().filter(({ name }) => !/^[0-9a-f]{64}$/.test(name))).toEqual([])
    expect(readdirSync(temporary)).toEqual([])
  })

  test.each<[string, () => string[]]>([
    ['push', () => ['push', '-', image()]],
    ['blob put', () => ['blob', 'put', image().replace(':v1', ''), '-']],
  ])('%s that waits for its input ends it, too', async (_, args) => {
    clear()
    const child = Bun.spawn([BERTH, ...args()], { env: env(), stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' })
    // It has its folder, and so it is reading.
    while (readdirSync(temporary).length === 0) await Bun.sleep(20)
    child.kill('SIGINT')
    const [code, error] = await Promise.all([child.exited, child.stderr.text()])
    expect([code, child.signalCode]).toEqual([130, null])
    expect(error).toMatch(/^berth: interrupted; [^\n]+\n$/)
    expect(readdirSync(temporary)).toEqual([])
  })
})

describe('whoever reads no further of', () => {
  test.each<[string, () => string[]]>([
    ['pull', () => ['pull', '-q', image('whole'), '-']],
    ['cat', () => ['cat', image('whole'), '/layer-0']],
    ['blob get', () => ['blob', 'get', blob('whole')]],
  ])('%s ends it with 0, and without a word', async (_, args) => {
    clear()
    const command = '"$@" | head -c 10 | wc -c; echo $PIPESTATUS'
    const { stdout, stderr } = await run(['bash', '-c', command, 'bash', BERTH, ...args()], {
      env: { HOME: home, TMPDIR: temporary },
    })
    expect({ stdout, stderr, left: readdirSync(temporary) }).toEqual({ stdout: '10\n0\n', stderr: '', left: [] })
  })
})
