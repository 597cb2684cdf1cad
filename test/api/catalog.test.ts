import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { errorsOf, must, nextOf, pushBlob, pushImage } from './content.ts'
import { ask } from './exchange.ts'

/** In byte order: `-` and `.` come before `/`, which comes before digits and letters. */
const NAMES = ['a', 'a-b', 'a.b', 'a/b', 'a/b/c', 'a0', 'ab', 'b', 'library/busybox', 'z']

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({
    env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true', REGISTRY_CATALOG_MAXENTRIES: '8' },
  })
  port = registry.port
  for (const name of NAMES.toReversed()) await pushImage(port, name, 'latest')
  // No manifest, no repository: neither blobs nor uploads make one.
  await pushBlob(port, 'blobs-only', 'x')
  await must(202, ask(port, 'POST', '/v2/uploads-only/blobs/uploads/'))
})
afterAll(() => registry.stop())

const body = (repositories: readonly string[]) => `${JSON.stringify({ repositories })}\n`

describe('Docker registry API v2, "Listing Repositories"', () => {
  const rows: [string, string, readonly string[], string | undefined][] = [
    ['without n: as many as one answer may have', '', NAMES.slice(0, 8), '?last=b&n=8'],
    ['n of them', '?n=3', NAMES.slice(0, 3), '?last=a.b&n=3'],
    ['after a name, which is encoded in the link', '?n=2&last=a.b', ['a/b', 'a/b/c'], '?last=a%2Fb%2Fc&n=2'],
    ['after a name that is not there', '?n=1&last=a/', ['a/b'], '?last=a%2Fb&n=1'],
    ['the last page, when it is just full', '?n=2&last=b', ['library/busybox', 'z'], undefined],
    ['after the last', '?last=z', [], undefined],
    ['n=0: none, and no next page', '?n=0', [], undefined],
  ]
  test.each(rows)('%s', async (_, query, names, next) => {
    const answer = await ask(port, 'GET', `/v2/_catalog${query}`)
    expect(answer).toMatchObject({ status: 200, text: body(names) })
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    const link = next === undefined ? undefined : `</v2/_catalog${next}>; rel="next"`
    expect(answer.headers.link as string).toBe(link as string)
    const head = await ask(port, 'HEAD', `/v2/_catalog${query}`)
    expect(head).toMatchObject({ status: 200, text: '' })
  })

  const refused: [string, string, unknown][] = [
    ['n above catalog.maxentries', '9', 9],
    ['a huge n', '999999999999999', 999999999999999],
    ['a negative n', '-1', '-1'],
    ['a word', 'all', 'all'],
  ]
  test.each(refused)('%s is refused', async (_, n, detail) => {
    const answer = await ask(port, 'GET', `/v2/_catalog?n=${n}`)
    expect(answer.status).toBe(400)
    expect(errorsOf(answer)).toEqual([
      {
        code: 'PAGINATION_NUMBER_INVALID',
        message: 'invalid number of results requested',
        detail: { n: detail },
      },
    ])
  })

  test.each([1, 2, 3, 7, 8])('links followed from n=%i give everything once, in order', async (n) => {
    const found: string[] = []
    let path: string | undefined = `/v2/_catalog?n=${n}`
    for (let pages = 0; path !== undefined && pages < 50; pages++) {
      const answer = await must(200, ask(port, 'GET', path))
      found.push(...(JSON.parse(answer.text) as { repositories: string[] }).repositories)
      path = nextOf(answer)
    }
    expect(path).toBeUndefined()
    expect(found).toEqual(NAMES)
  })

  test('loses a repository with its last manifest, not with its last tag, and gets it back', async () => {
    const listed = async () => (await ask(port, 'GET', '/v2/_catalog?n=8&last=library/busybox')).text
    const digest = await pushImage(port, 'zz', 'one')
    expect(await listed()).toBe(body(['z', 'zz']))
    await must(202, ask(port, 'DELETE', '/v2/zz/manifests/one'))
    expect(await listed()).toBe(body(['z', 'zz']))
    await must(202, ask(port, 'DELETE', `/v2/zz/manifests/${digest}`))
    expect(await listed()).toBe(body(['z']))
    await pushImage(port, 'zz', 'one')
    expect(await listed()).toBe(body(['z', 'zz']))
  })
})
