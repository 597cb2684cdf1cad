import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { loadConfig } from '../../src/config/load.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, imageManifest, pushBlob, putManifest } from './content.ts'
import { ask } from './exchange.ts'

const image = (note: string) => imageManifest('config', ['layer'], { annotations: { note } })
const digest = (note: string) => digestOf(bytesOf(image(note)))

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({
    env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' },
    change(config) {
      config.immutable = [{ name: 'releases', repositories: ['team/**'], tags: ['v*', '!*-rc*'] }]
    },
  })
  port = registry.port
  for (const repository of ['team/app', 'other']) {
    for (const content of ['config', 'layer']) await pushBlob(port, repository, content)
  }
})
afterAll(() => registry.stop())

const put = (reference: string, note: string, repository = 'team/app') =>
  putManifest(port, repository, reference, image(note))
const drop = (reference: string) => ask(port, 'DELETE', `/v2/team/app/manifests/${reference}`)
const tagged = async (tag: string) =>
  (await ask(port, 'HEAD', `/v2/team/app/manifests/${tag}`)).headers['docker-content-digest']

/** Asks the admin API as whoever may open the socket. */
async function administer(method: string, path: string, body?: unknown) {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  const response = await registry.app.control(new Request(`http://berth/api/v1${path}`, { method, ...init }))
  const text = await response.text()
  return { status: response.status, json: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) }
}

const refused = (tag: string, what: string, asked?: string, rule = 'releases') => ({
  errors: [
    {
      code: 'DENIED',
      message: `team/app:${tag} is immutable by the rule ${rule}: ${what}`,
      detail: {
        ...{ limit: 'immutable', rule, repository: 'team/app', tag, digest: digest('a') },
        ...(asked === undefined ? {} : { pushed: digest(asked) }),
      },
    },
  ],
})
const stays = `it stays at ${digest('a')}; push another tag`

describe('a tag that a rule of the configuration protects', () => {
  test('is made once, accepted again with the same manifest, and refused with another', async () => {
    expect((await put('v1', 'a')).status).toBe(201)
    expect((await put('v1', 'a')).status).toBe(201)
    const answer = await put('v1', 'b')
    expect([answer.status, JSON.parse(answer.text)]).toEqual([403, refused('v1', stays, 'b')])
    expect(await tagged('v1')).toBe(digest('a'))
    expect((await ask(port, 'HEAD', `/v2/team/app/manifests/${digest('b')}`)).status).toBe(404)
  })

  test('is not moved by further tags of a request either, and then none of them is made', async () => {
    const answer = await put(`${digest('b')}?tag=new&tag=v1`, 'b')
    expect([answer.status, JSON.parse(answer.text)]).toEqual([403, refused('v1', stays, 'b')])
    expect(await tagged('new')).toBeUndefined()
  })

  test('is not deleted, by its name or with its manifest', async () => {
    await put('latest', 'a')
    for (const reference of ['v1', digest('a')]) {
      const answer = await drop(reference)
      expect([answer.status, JSON.parse(answer.text)]).toEqual([
        403,
        refused('v1', 'it cannot be deleted, nor its repository renamed'),
      ])
    }
    expect((await drop('latest')).status).toBe(202)
    expect((await drop('v9')).status).toBe(404)
    expect(await tagged('v1')).toBe(digest('a'))
  })

  test('leaves alone what it does not speak of', async () => {
    for (const [tag, repository] of [['v1-rc1'], ['latest'], ['v1', 'other']] as const) {
      for (const note of ['a', 'b']) expect((await put(tag, note, repository)).status).toBe(201)
    }
  })

  test('has one winner of many pushes at once', async () => {
    const notes = Array.from({ length: 8 }, (_, index) => `note ${index}`)
    const answers = await Promise.all(notes.map((note) => put('v2', note)))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(7).fill(403)])
    expect(await tagged('v2')).toBe(digest(notes[answers.findIndex(({ status }) => status === 201)] ?? ''))
  })

  test('is restored to another manifest by force alone', async () => {
    await put(digest('b'), 'b')
    const wanted = { repository: 'team/app', tag: 'v1', digest: digest('b') }
    const refusal = await administer('POST', '/tags/restore', wanted)
    expect([refusal.status, refusal.json?.detail]).toEqual([
      409,
      `team/app:v1 is immutable by the rule releases: ${stays}`,
    ])
    expect(await administer('POST', '/tags/restore', { ...wanted, force: true })).toMatchObject({ status: 200 })
    expect(await tagged('v1')).toBe(digest('b'))
    await administer('POST', '/tags/restore', { ...wanted, digest: digest('a'), force: true })
  })
})

test('rules of an administrator count from the next push on, until they are removed', async () => {
  await put('stable', 'a')
  const made = await administer('POST', '/immutable', { name: 'stable', tags: ['stable'] })
  expect(made).toMatchObject({
    status: 201,
    json: { name: 'stable', repositories: [], tags: ['stable'], source: 'api', createdAt: expect.any(String) },
  })
  const answer = await put('stable', 'b')
  expect([answer.status, JSON.parse(answer.text)]).toEqual([403, refused('stable', stays, 'b', 'stable')])
  expect((await administer('GET', '/immutable')).json).toMatchObject({
    rules: [
      { name: 'releases', source: 'config', createdAt: null },
      { name: 'stable', source: 'api' },
    ],
  })
  expect(await administer('POST', '/immutable/test', { repository: 'x', tag: 'stable' })).toMatchObject({
    json: { immutable: true, rule: { name: 'stable' } },
  })
  expect((await administer('DELETE', '/immutable/stable')).status).toBe(204)
  expect((await put('stable', 'b')).status).toBe(201)
})

test.each<[string, string, unknown, number, string]>([
  ['without a pattern', 'POST /immutable', { name: 'x' }, 400, 'name a repository or a tag; ** stands for all'],
  ['with a bad pattern', 'POST /immutable', { name: 'x', tags: ['[a'] }, 400, 'is no glob'],
  ['with a bad expression', 'POST /immutable', { name: 'x', tags: ['/(/'] }, 400, 'is no expression'],
  ['with a bad name', 'POST /immutable', { name: 'a b', tags: ['v*'] }, 400, 'a name has 1 to 64 letters'],
  [
    'of a name that is taken',
    'POST /immutable',
    { name: 'releases', tags: ['v*'] },
    409,
    'there is a rule releases already',
  ],
  ['that is not there', 'DELETE /immutable/none', undefined, 404, 'there is no rule none of immutable tags'],
  ['of the configuration', 'DELETE /immutable/releases', undefined, 409, "is in the server's configuration"],
])('a rule %s is refused', async (_, what, body, status, detail) => {
  const [method = '', path = ''] = what.split(' ')
  const answer = await administer(method, path, body)
  expect([answer.status, JSON.stringify(answer.json)]).toEqual([status, expect.stringContaining(detail)])
})

test('another configuration counts for the next push', async () => {
  const { config } = loadConfig({ env: { REGISTRY_AUTH: 'none' }, flags: { data: registry.directory } })
  if (config === undefined) throw new Error('no configuration')
  await registry.app.reconfigure({ ...config, immutable: [{ name: 'all', repositories: ['team/app'], tags: [] }] })
  await put('fixed', 'a')
  const answer = await put('fixed', 'b')
  expect([answer.status, JSON.parse(answer.text)]).toEqual([403, refused('fixed', stays, 'b', 'all')])
})
