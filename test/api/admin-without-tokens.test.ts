import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, systemClock } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLog } from '../../src/telemetry/log.ts'

/** What the admin API says of keys and rules where no token server runs. */

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-without-tokens-'))
  writeFileSync(join(folder, 'users'), '')
})
afterAll(() => rmSync(folder, { recursive: true }))

test.each<[string, Record<string, string>]>([
  ['htpasswd', { REGISTRY_AUTH_HTPASSWD_REALM: 'r', REGISTRY_AUTH_HTPASSWD_PATH: 'USERS' }],
  ['no', {}],
])('with %s authentication there are no keys and no rules to ask', async (name, env) => {
  const file = join(folder, 'config.yml')
  writeFileSync(file, 'version: 0.1\nstorage: {filesystem: {}}\nhttp: {addr: ":0"}\n')
  const given = Object.fromEntries(
    Object.entries(env).map(([key, value]) => [key, value.replace('USERS', join(folder, 'users'))]),
  )
  const { config, problems } = loadConfig({ file, env: given, flags: { data: join(folder, name) } })
  if (config === undefined) throw new Error(JSON.stringify(problems))
  const errors: string[] = []
  const log = createLog({
    level: 'error',
    formatter: 'text',
    fields: {},
    now: Date.now,
    write: (line) => errors.push(line),
  })
  const app = await createApp(config, { ...systemClock, log, onPassword: async () => {} })
  const post = (body: unknown) => ({
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  try {
    const ask = async (path: string, init?: RequestInit) => {
      const response = await app.control(new Request(`http://berth/api/v1${path}`, init))
      const answer: unknown = await response.json()
      return [response.status, answer]
    }
    expect(await ask('/keys')).toEqual([200, { keys: [] }])
    const none = { detail: 'no token server runs here', status: 409, title: 'Conflict', type: 'about:blank' }
    expect(await ask('/keys/rotate', post({}))).toEqual([409, none])
    const question = { account: 'jo', scope: 'repository:a:pull' }
    expect(await ask('/acl/test', post(question))).toEqual([
      409,
      { ...none, detail: 'there are no rules to ask: no token server runs here' },
    ])
    expect(errors).toEqual([])
  } finally {
    await app.close()
  }
})
