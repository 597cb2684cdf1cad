import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { BATCH_BYTES } from '../../src/storage/batch.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { imageManifest, pushBlob, putManifest } from './content.ts'
import { type Answer, ask } from './exchange.ts'
import { within } from './live-server.ts'

const MIB = 1024 * 1024

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({
    env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' },
    change(config) {
      config.quotas = [
        { prefix: 'small', limits: { bytes: MIB, tags: 2, repositories: undefined } },
        { prefix: 'race', limits: { bytes: 3 * MIB + 100_000, tags: undefined, repositories: undefined } },
      ]
    },
  })
  port = registry.port
  await registry.app.countQuotas()
})
afterAll(() => registry.stop())

const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536)))
/** So many bytes, unlike any others. */
function content(bytes: number): Buffer {
  const seed = random(bytes)
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / seed.length) }, () => seed)).subarray(0, bytes)
}

async function administer(method: string, path: string, body?: unknown) {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const response = await registry.app.control(new Request(`http://berth/api/v1${path}`, { method, ...init }))
  const text = await response.text()
  return { status: response.status, json: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) }
}

const start = (repository: string) => ask(port, 'POST', `/v2/${repository}/blobs/uploads/`)
const pathOf = (answer: Answer) => new URL(answer.headers.location ?? '', registry.url).pathname
const errorOf = (answer: Answer) => [answer.status, (JSON.parse(answer.text) as { errors: unknown[] }).errors[0]]
/** Files of uploads that lie in the data directory. */
function uploadsLeft(): string[] {
  const found = readdirSync(registry.directory, { recursive: true, withFileTypes: true })
  return found.flatMap((file) => (file.isFile() && /uploads/.test(file.parentPath) ? [file.name] : []))
}

describe('an upload that has no place below a prefix', () => {
  const large = content(2 * MIB)
  const tooLarge = [
    403,
    {
      code: 'DENIED',
      message: 'the quota of small is used up: 0 B of 1 MiB are used, and this needs 2 MiB more',
      detail: { limit: 'quota', prefix: 'small', resource: 'bytes', used: 0, asked: 2 * MIB, allowed: MIB },
    },
  ]

  test('is refused before its bytes are taken, where their number is known', async () => {
    const digest = digestOf(large)
    const single = await ask(port, 'POST', `/v2/small/a/blobs/uploads/?digest=${digest}`, { body: large })
    expect(errorOf(single)).toEqual(tooLarge)
    const put = await ask(port, 'PUT', `${pathOf(await start('small/a'))}?digest=${digest}`, { body: large })
    expect(errorOf(put)).toEqual(tooLarge)
    const upload = pathOf(await start('small/a'))
    expect(errorOf(await ask(port, 'PATCH', upload, { body: large }))).toEqual(tooLarge)
    // The session has ended.
    expect((await ask(port, 'GET', upload)).status).toBe(404)
    expect((await ask(port, 'HEAD', `/v2/small/a/blobs/${digest}`)).status).toBe(404)
  })

  test('is ended where it is not, as soon as it is too large', async () => {
    const upload = pathOf(await start('small/a'))
    const answer = await ask(port, 'PATCH', upload, { body: [large.subarray(0, MIB), large.subarray(MIB)] })
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
      403,
      { errors: [{ code: 'DENIED', detail: { limit: 'quota', prefix: 'small', used: 0, allowed: MIB } }] },
    ])
    expect((await ask(port, 'GET', upload)).status).toBe(404)
  })

  test('leaves nothing on the disk', () => {
    expect(uploadsLeft()).toEqual([])
  })

  test('is taken where the blob is there already', async () => {
    const layer = content(MIB - 10_000)
    await pushBlob(port, 'small/a', 'config')
    await pushBlob(port, 'small/a', layer)
    expect((await putManifest(port, 'small/a', 'v1', imageManifest('config', [layer]))).status).toBe(201)
    const again = await ask(port, 'PATCH', pathOf(await start('small/b')), { body: [layer] })
    const finished = await ask(port, 'PUT', `${pathOf(again)}?digest=${digestOf(layer)}`)
    expect([again.status, finished.status]).toEqual([202, 201])
    const other = content(20_000)
    const refused = await ask(port, 'POST', `/v2/small/b/blobs/uploads/?digest=${digestOf(other)}`, { body: other })
    expect(errorOf(refused)).toMatchObject([403, { detail: { asked: 20_000, allowed: MIB } }])
  })
})

test('tags are refused past their number, in one request or several, and may be moved and deleted', async () => {
  const image = (note: string) => imageManifest('config', [], { annotations: { note } })
  const put = (reference: string, note = 'a') => putManifest(port, 'small/a', reference, image(note))
  expect((await put('v2')).status).toBe(201)
  expect(errorOf(await put('v3'))).toEqual([
    403,
    {
      code: 'DENIED',
      message: 'the quota of small is used up: 2 of 2 tags are there, and this makes 1 more',
      detail: { limit: 'quota', prefix: 'small', resource: 'tags', used: 2, asked: 1, allowed: 2 },
    },
  ])
  expect((await put('v2', 'b')).status).toBe(201)
  expect((await ask(port, 'DELETE', '/v2/small/a/manifests/v2')).status).toBe(202)
  const digest = digestOf(Buffer.from(image('c')))
  expect(errorOf(await put(`${digest}?tag=v4&tag=v5`, 'c'))).toMatchObject([403, { detail: { resource: 'tags' } }])
  expect((await put(`${digest}?tag=v4`, 'c')).status).toBe(201)
})

test('of ten pushes at once, three have room, and three succeed, with nothing left of the others', async () => {
  const layers = Array.from({ length: 10 }, () => content(MIB))
  const outcomes = await Promise.all(
    layers.map(async (layer, index) => {
      const repository = `race/app-${index}`
      try {
        await pushBlob(port, repository, `config ${index}`)
        await pushBlob(port, repository, layer)
      } catch (error) {
        return String(error)
      }
      return await putManifest(port, repository, 'v1', imageManifest(`config ${index}`, [layer]))
    }),
  )
  const taken = outcomes.filter((outcome) => typeof outcome !== 'string' && outcome.status === 201)
  expect(taken).toHaveLength(3)
  for (const outcome of outcomes) {
    if (taken.includes(outcome)) continue
    expect(typeof outcome === 'string' ? outcome : outcome.text).toContain('the quota of race is used up')
  }
  const { json } = await administer('GET', '/quotas/usage?prefix=race')
  expect(json).toMatchObject({
    quotas: [
      { prefix: 'race', used: { tags: 3, repositories: 3 }, limits: { bytes: 3 * MIB + 100_000 }, state: 'exact' },
    ],
  })
  const checked = (await administer('POST', '/quotas/check', {})).json?.quotas as { right: boolean }[]
  expect(checked.map(({ right }) => right)).toEqual([true, true])
  expect(uploadsLeft()).toEqual([])
})

describe('uploads under way below a prefix', () => {
  const MOST = 600 * MIB + 1024 * MIB

  /** A request that tells the length of its body, and sends the beginning of it. It stays open, or has a status. */
  async function announcing(bytes: number, repository = 'wide/app') {
    const path = pathOf(await start(repository))
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (data) => (answer += data.toString()))
    socket.on('error', () => {})
    socket.write(
      `PATCH ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bytes}\r\n\r\n`,
    )
    socket.write(Buffer.alloc(BATCH_BYTES))
    const file = join(registry.directory, 'berth-uploads', path.slice(-36))
    return {
      path,
      /** Whether it has its room, for its bytes are written. */
      taken: () => statSync(file).size >= BATCH_BYTES,
      status: () => (answer === '' ? undefined : Number(answer.split(' ')[1])),
      end: () => socket.destroy(),
    }
  }

  test('together have room for as many as the quota and 1 GiB, announced or not, and it is free when they end', async () => {
    await administer('PUT', '/quotas', { prefix: 'wide', bytes: 600 * MIB })
    const sizes = [600 * MIB, 600 * MIB, 422 * MIB]
    const clients = await Promise.all(sizes.map((size) => announcing(size)))
    for (const client of clients) await within('the beginning of a body', client.taken, (isTaken) => isTaken)
    const late = await announcing(3 * MIB, 'wide/other')
    await within('the refusal', late.status, (status) => status === 403)
    expect(clients.map(({ status }) => status())).toEqual([undefined, undefined, undefined])

    const layer = content(3 * MIB)
    const pieces = [layer.subarray(0, MIB), layer.subarray(MIB)]
    const refused = await ask(port, 'PATCH', pathOf(await start('wide/other')), { body: pieces })
    expect(errorOf(refused)).toMatchObject([
      403,
      {
        code: 'DENIED',
        message: expect.stringMatching(
          /^the quota of wide takes no further uploads at the moment: .* of 1.5 GiB, .* and images use 0 B$/,
        ),
        detail: { limit: 'quota', prefix: 'wide', resource: 'uploads', used: 0, open: MOST - 2 * MIB, allowed: MOST },
      },
    ])
    expect(
      (await ask(port, 'PATCH', pathOf(await start('wide/other')), { body: [layer.subarray(0, MIB)] })).status,
    ).toBe(202)

    for (const client of clients) client.end()
    const taken = async () => (await ask(port, 'PATCH', pathOf(await start('wide/other')), { body: pieces })).status
    await within('room again', taken, (status) => status === 202)
    await administer('DELETE', '/quotas?prefix=wide')
    expect(await taken()).toBe(202)
  })
})

test('a deletion makes room at once', async () => {
  const layer = content(MIB)
  await pushBlob(port, 'race/next', 'config')
  const push = () => ask(port, 'POST', `/v2/race/next/blobs/uploads/?digest=${digestOf(layer)}`, { body: layer })
  expect((await push()).status).toBe(403)
  const { repositories } = JSON.parse((await ask(port, 'GET', '/v2/_catalog')).text) as { repositories: string[] }
  const full = repositories.find((name) => name.startsWith('race/app')) ?? ''
  const digest = (await ask(port, 'HEAD', `/v2/${full}/manifests/v1`)).headers['docker-content-digest']
  expect((await ask(port, 'DELETE', `/v2/${full}/manifests/${digest}`)).status).toBe(202)
  expect((await push()).status).toBe(201)
  expect((await putManifest(port, 'race/next', 'v1', imageManifest('config', [layer]))).status).toBe(201)
})

describe('an administrator', () => {
  test('sets quotas, which count what is there and hold for the next push, and removes them', async () => {
    await pushBlob(port, 'own/app', 'config')
    await putManifest(port, 'own/app', 'v1', imageManifest('config', []))
    const made = await administer('PUT', '/quotas', { prefix: 'own/', tags: 1 })
    expect(made).toMatchObject({
      status: 200,
      json: {
        ...{ prefix: 'own', source: 'api', state: 'exact', used: { tags: 1, repositories: 1 } },
        limits: { bytes: null, tags: 1, repositories: null },
      },
    })
    expect((await putManifest(port, 'own/app', 'v2', imageManifest('config', []))).status).toBe(403)
    expect((await administer('PUT', '/quotas', { prefix: 'own', tags: 2 })).status).toBe(200)
    expect((await putManifest(port, 'own/app', 'v2', imageManifest('config', []))).status).toBe(201)
    expect((await administer('GET', '/quotas/usage?prefix=own')).json).toMatchObject({
      quotas: [{ prefix: 'own', used: { tags: 2 } }],
      largest: [{ repository: 'own/app', tags: 2 }],
    })
    expect((await administer('DELETE', '/quotas?prefix=own')).status).toBe(204)
    expect((await putManifest(port, 'own/app', 'v3', imageManifest('config', []))).status).toBe(201)
  })

  test.each<[string, string, unknown, number, string]>([
    ['that limits nothing', 'PUT /quotas', { prefix: 'x' }, 400, 'name bytes, tags or repositories'],
    ['of what is no prefix', 'PUT /quotas', { prefix: 'A B', tags: 1 }, 400, 'is no prefix of repositories'],
    ['of less than nothing', 'PUT /quotas', { prefix: 'x', tags: -1 }, 400, 'tags'],
    ['of the configuration', 'PUT /quotas', { prefix: 'race', tags: 1 }, 409, "is in the server's configuration"],
    [
      'of the configuration, to be gone',
      'DELETE /quotas?prefix=race',
      undefined,
      409,
      "is in the server's configuration",
    ],
    ['that is not there', 'DELETE /quotas?prefix=none', undefined, 404, 'there is no quota of none'],
    ['that is not there, to be shown', 'GET /quotas/usage?prefix=none', undefined, 404, 'there is no quota of none'],
  ])('is refused a quota %s', async (_, what, body, status, text) => {
    const [method = '', path = ''] = what.split(' ')
    const answer = await administer(method, path, body)
    expect([answer.status, JSON.stringify(answer.json)]).toEqual([status, expect.stringContaining(text)])
  })
})

test('another configuration has other quotas, and a quota over everything', async () => {
  const { config } = loadConfig({ env: { REGISTRY_AUTH: 'none' }, flags: { data: registry.directory } })
  if (config === undefined) throw new Error('no configuration')
  const all = { prefix: '', limits: { bytes: undefined, tags: 0, repositories: undefined } }
  await registry.app.reconfigure({ ...config, quotas: [all] })
  await registry.app.countQuotas()
  const listed = (await administer('GET', '/quotas')).json?.quotas as { source: string }[]
  expect(listed.filter(({ source }) => source === 'config')).toMatchObject([
    { prefix: '*', source: 'config', state: 'exact', limits: { bytes: null, tags: 0 } },
  ])
  expect(errorOf(await putManifest(port, 'own/app', 'v9', imageManifest('config', [])))).toMatchObject([
    403,
    { message: expect.stringContaining('the quota of the registry is used up') },
  ])
  await registry.app.reconfigure({ ...config, quotas: [] })
  expect((await administer('GET', '/quotas')).json).toEqual({ quotas: [] })
  expect((await putManifest(port, 'own/app', 'v9', imageManifest('config', []))).status).toBe(201)
})
