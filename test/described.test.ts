import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ACCESS_KEY } from '../src/http/api/routes.ts'
import { DOCUMENT, undescribed } from '../src/http/reference/described.fixture.ts'
import { basic } from './api/live-server.ts'
import { freePort } from './free-port.ts'
import { type Berth, startBerth } from './start-berth.ts'

const PASSWORD = 'a-password-for-admin'

interface Operation {
  tags: string[]
  parameters?: { in: string; required?: boolean }[]
  servers?: unknown
  [ACCESS_KEY]?: string
}

const operations = Object.entries(DOCUMENT.paths).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => method !== 'servers')
    .map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      isDebug: 'servers' in item,
      operation: operation as Operation,
    })),
)

describe('what is described is what the program answers', () => {
  let berth: Berth
  let debug = 0

  beforeAll(async () => {
    debug = await freePort()
    const config = `version: 0.1
http: {debug: {addr: 127.0.0.1:${debug}, prometheus: {enabled: true}}}
auth: {token: {}}
tokenserver: {accounts: true}
`
    berth = await startBerth({ args: ['--tls', 'auto'], env: { BERTH_ADMIN_PASSWORD: PASSWORD }, config })
  })
  afterAll(async () => {
    await berth?.dispose()
  })

  async function seen(url: string, method: string, headers: Record<string, string> = {}) {
    const response = await fetch(url, { method, headers, redirect: 'manual', tls: { rejectUnauthorized: false } })
    const header = (name: string) => response.headers.get(name) ?? undefined
    return { status: response.status, text: await response.text(), header }
  }

  const plain = operations.filter(({ path }) => !/^\/(v2|api)\//.test(path) && !path.includes('{'))
  test.each(plain.map(({ method, path, isDebug }) => [method, path, isDebug] as const))(
    '%s %s',
    async (method, path, isDebug) => {
      const answer = await seen(
        `${isDebug ? `http://127.0.0.1:${debug}` : berth.url}${path}`,
        method,
        isDebug ? {} : basic('admin', PASSWORD),
      )
      expect([path, undescribed(method, path, answer)]).toEqual([path, undefined])
      expect([path, answer.status]).toEqual([path, 200])
    },
  )

  test('the document itself, to anybody', async () => {
    const { status, text } = await seen(`${berth.url}/api/v1/openapi.json`, 'GET')
    expect([status, JSON.parse(text)]).toEqual([200, DOCUMENT])
  })

  const lists = operations.filter(
    ({ path, method, operation }) =>
      ACCESS_KEY in operation && method === 'GET' && !path.includes('{') && !needsMore(operation),
  )
  test('each list of the API, to an administrator: what the operator alone may read is refused', async () => {
    for (const { method, path, operation } of lists) {
      const answer = await seen(`${berth.url}${path}`, method, basic('admin', PASSWORD))
      expect([path, undescribed(method, path, answer)]).toEqual([path, undefined])
      const refused = operation[ACCESS_KEY] === 'operator' ? [403] : [200, 404]
      expect(refused).toContain(answer.status)
    }
    expect(lists.length).toBeGreaterThan(15)
  })
})

function needsMore({ parameters = [] }: Operation): boolean {
  return parameters.some(({ required }) => required)
}
