import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { codesOf, errorsOf, imageManifest, must, nextOf, pushBlob, pushImage, putManifest } from './content.ts'
import { ask } from './exchange.ts'

/** In byte order: digits, capitals, `_`, small letters. */
const TAGS = ['0', '1.0', '1.0-rc', '10', '2', 'B', 'Z', '_x', 'a', 'a-1', 'a.1', 'aa', 'latest', 'v1']

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({
    env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' },
    change: (config) => {
      config.tags.maxTags = 5
    },
  })
  port = registry.port
  for (const content of ['config', 'layer']) await pushBlob(port, 'team/app', content)
  const shuffled = [...TAGS].sort((a, b) => (a.length === b.length ? (a < b ? 1 : -1) : b.length - a.length))
  for (const tag of shuffled) await must(201, putManifest(port, 'team/app', tag, imageManifest('config', ['layer'])))
})
afterAll(() => registry.stop())

const list = (query: string, method = 'GET') => ask(port, method, `/v2/team/app/tags/list${query}`)
const body = (tags: readonly string[]) => `${JSON.stringify({ name: 'team/app', tags })}\n`

describe('OCI Distribution Specification 1.1, "Listing Tags" (end-8)', () => {
  const rows: [string, string, readonly string[], string | undefined][] = [
    ['without n: all of them, in byte order, whatever the largest page is', '', TAGS, undefined],
    ['an empty n is none', '?n=', TAGS, undefined],
    ['without n, after a tag: all that follow', '?last=a', TAGS.slice(9), undefined],
    ['n tags, and where the next are', '?n=3', TAGS.slice(0, 3), '?last=1.0-rc&n=3'],
    ['n tags after a tag', '?n=2&last=B', TAGS.slice(6, 8), '?last=_x&n=2'],
    ['the order of the parameters does not matter', '?last=B&n=2', TAGS.slice(6, 8), '?last=_x&n=2'],
    ['after a tag that is not there', '?n=2&last=C', ['Z', '_x'], '?last=_x&n=2'],
    ['the last page, when it is just full', '?n=2&last=aa', ['latest', 'v1'], undefined],
    ['the last page, with less', '?n=5&last=latest', ['v1'], undefined],
    ['after the last', '?n=5&last=v1', [], undefined],
    ['after what is behind every tag', '?last=~~~', [], undefined],
    ['after a text that is no tag', '?n=1&last=%00%2F%3C%3E', ['0'], '?last=0&n=1'],
    ['n above the largest page is cut to it', '?n=6', TAGS.slice(0, 5), '?last=2&n=5'],
    ['a huge n is cut to it too', '?n=999999999999', TAGS.slice(0, 5), '?last=2&n=5'],
    ['n with a plus, encoded', '?n=%2B2', TAGS.slice(0, 2), '?last=1.0&n=2'],
    ['n=0: none, and no next page', '?n=0', [], undefined],
    ['n=0 after a tag', '?n=0&last=a', [], undefined],
  ]
  test.each(rows)('%s', async (_, query, tags, next) => {
    const answer = await list(query)
    expect(answer).toMatchObject({ status: 200, text: body(tags) })
    expect(answer.all).toMatchObject({
      'content-type': ['application/json; charset=utf-8'],
      'docker-distribution-api-version': ['registry/2.0'],
    })
    const link = next === undefined ? undefined : `</v2/team/app/tags/list${next}>; rel="next"`
    expect(answer.headers.link as string).toBe(link as string)
    const head = await list(query, 'HEAD')
    expect(head).toMatchObject({ status: 200, text: '' })
    expect(head.headers['content-length']).toBe(String(answer.body.length))
    expect(head.headers.link as string).toBe(link as string)
  })

  test.each([
    ['negative', '-1'],
    ['a word', 'x'],
    ['a fraction', '1.5'],
    ['with white space', '%201'],
    ['in hexadecimal', '0x10'],
    ['too long for a number', '9'.repeat(40)],
  ])('n that is %s is refused', async (_, n) => {
    const answer = await list(`?n=${n}`)
    expect(answer.status).toBe(400)
    expect(errorsOf(answer)).toEqual([
      {
        code: 'PAGINATION_NUMBER_INVALID',
        message: 'invalid number of results requested',
        detail: { n: decodeURIComponent(n) },
      },
    ])
  })

  test.each([1, 2, 3, 4, 5, 7, 100])('links followed from n=%i give everything once, in order', async (n) => {
    const found: string[] = []
    let path: string | undefined = `/v2/team/app/tags/list?n=${n}`
    for (let pages = 0; path !== undefined && pages < 50; pages++) {
      const answer = await must(200, ask(port, 'GET', path))
      found.push(...(JSON.parse(answer.text) as { tags: string[] }).tags)
      path = nextOf(answer)
    }
    expect(path).toBeUndefined()
    expect(found).toEqual(TAGS)
  })

  test('an unknown repository is NAME_UNKNOWN', async () => {
    const answer = await ask(port, 'GET', '/v2/no/where/tags/list')
    expect(answer.status).toBe(404)
    expect(answer.text).toBe(
      '{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"no/where"}}]}\n',
    )
    expect(codesOf(await ask(port, 'GET', '/v2/no/where/tags/list?n=0'))).toEqual(['NAME_UNKNOWN'])
  })

  test('a repository without tags has an empty list, never null', async () => {
    const digest = await pushImage(port, 'bare', 'only')
    await must(202, ask(port, 'DELETE', '/v2/bare/manifests/only'))
    for (const query of ['', '?n=10']) {
      expect((await ask(port, 'GET', `/v2/bare/tags/list${query}`)).text).toBe('{"name":"bare","tags":[]}\n')
    }
    await must(202, ask(port, 'DELETE', `/v2/bare/manifests/${digest}`))
    expect((await ask(port, 'GET', '/v2/bare/tags/list')).text).toBe('{"name":"bare","tags":[]}\n')
  })

  test('a tag that comes or goes between two pages takes no other with it', async () => {
    const first = await must(200, list('?n=3'))
    await must(201, putManifest(port, 'team/app', '000', imageManifest('config', ['layer'])))
    await must(202, ask(port, 'DELETE', '/v2/team/app/manifests/000'))
    const second = await must(200, ask(port, 'GET', nextOf(first) ?? ''))
    expect((JSON.parse(second.text) as { tags: string[] }).tags).toEqual(TAGS.slice(3, 6))
  })
})
