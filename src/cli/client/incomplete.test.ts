import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openVerbShell } from '../../../test/clients/verb-shell.ts'
import { type Content, makeImage, makeIndex } from '../../../test/image.ts'
import { bytesText } from '../progress.ts'

const AMD = makeImage({ layers: [2000], seed: 'amd' })
const ARM = makeImage({ layers: [100], seed: 'arm', platform: { os: 'linux', architecture: 'arm64' } })
const GONE = makeImage({ layers: [100], seed: 'gone', platform: { os: 'linux', architecture: 's390x' } })
const INDEX = makeIndex([AMD, ARM])
const SPARSE = makeIndex([AMD, GONE])
const sizeOf = (...contents: Content[]) => contents.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)
const SIZE = bytesText(sizeOf(AMD.manifest, AMD.config, ...AMD.layers))
const PAGE = '<html>\n<head><title>502 Bad Gateway</title></head></html>'

/** A registry some of whose answers are broken. Nothing refers to anything, but where it says so. */
let registry: Bun.Server<undefined>
/** Its answers end before their end. */
let torn: Bun.TCPSocketListener
let asked: string[] = []
const contents = new Map<string, Content>(
  [AMD.manifest, INDEX.manifest, SPARSE.manifest, AMD.config].map((content) => [content.digest, content]),
)
const TAGS: Record<string, Content> = { good: AMD.manifest, multi: INDEX.manifest, sparse: SPARSE.manifest }

function answer(path: string): Response {
  if (path === '/v2/') return new Response('{}')
  if (path === '/v2/_catalog') return Response.json({ repositories: ['app', 'empty', 'hidden', 'odd', 'torn'] })
  if (path === '/v2/app/tags/list')
    return Response.json({ tags: ['broken', 'garbage', 'good', 'gone', 'multi', 'sparse', 'torn'] })
  if (path === '/v2/empty/tags/list') return Response.json({ errors: [{ code: 'NAME_UNKNOWN' }] }, { status: 404 })
  if (path === '/v2/hidden/tags/list') return Response.json({ errors: [{ code: 'DENIED' }] }, { status: 403 })
  if (path === '/v2/odd/tags/list') return new Response(PAGE, { status: 500 })
  if (path === '/v2/torn/tags/list') return new Response('<html>')
  const name = path.split('/').at(-1) ?? ''
  if (name === 'broken' || name === ARM.manifest.digest) {
    return Response.json({ errors: [{ code: 'UNKNOWN', message: 'unknown error' }] }, { status: 500 })
  }
  if (name === 'garbage')
    return new Response('{"schemaVersion":', { headers: { 'Content-Type': AMD.manifest.mediaType } })
  if (name === 'torn') return Response.redirect(`http://127.0.0.1:${torn.port}/`, 307)
  const found = TAGS[name] ?? contents.get(name)
  if (path.includes('/referrers/') && name === INDEX.manifest.digest) return new Response(PAGE, { status: 500 })
  if (found === undefined || path.includes('/referrers/')) {
    return Response.json({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'unknown' }] }, { status: 404 })
  }
  return new Response(found.bytes, { headers: { 'Content-Type': found.mediaType } })
}

let host: string
const shell = openVerbShell('/nonexistent')
beforeAll(() => {
  const start = `HTTP/1.1 200 OK\r\nContent-Type: ${AMD.manifest.mediaType}\r\nContent-Length: 100\r\n\r\n{"schema`
  torn = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: (socket) => void socket.end(start) } })
  registry = Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0, development: false },
    fetch(request) {
      const { pathname } = new URL(request.url)
      asked.push(pathname)
      return answer(pathname)
    },
  })
  host = `127.0.0.1:${registry.port}`
})
afterAll(async () => {
  torn.stop(true)
  await registry.stop(true)
})

const FAILED = 'the registry answers 500: UNKNOWN: unknown error'
const PROBLEMS: Record<string, string> = {
  broken: FAILED,
  garbage: 'has no manifest that can be read: the body is not JSON in UTF-8',
  multi: `${ARM.manifest.digest}: ${FAILED}`,
  sparse: `${GONE.manifest.digest}: MANIFEST_UNKNOWN: unknown`,
  torn: 'the answer broke off',
}

describe('what cannot be read is told of in its place, and the rest is shown', () => {
  test('ls -l', async () => {
    const { out, error, code } = await shell.run('ls', '-l', `${host}/app`)
    expect(code).toBe(1)
    const [titles, ...rows] = out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/))
    expect(titles).toEqual(['TAG', 'DIGEST', 'PLATFORMS', 'SIZE', 'PROBLEM'])
    const digestOf = (tag: string) => TAGS[tag]?.digest ?? expect.stringMatching(/^(-|sha256:.*)$/)
    const bad = (tag: string) => [tag, digestOf(tag), '-', '-', PROBLEMS[tag]]
    // One that went between the list and the look is not there.
    expect(rows as unknown[]).toEqual([
      ...['broken', 'garbage'].map(bad),
      ['good', AMD.manifest.digest, 'linux/amd64', SIZE],
      ...['multi', 'sparse', 'torn'].map(bad),
    ])
    expect(error).toBe(
      `${Object.entries(PROBLEMS)
        .map(([tag, problem]) => `${tag}: ${problem}\n`)
        .join('')}berth: 5 of 6 tags cannot be read\n`,
    )
    const lines = (await shell.run('ls', '-l', `${host}/app`, '-f', 'ndjson', '--include', 'o')).out.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { tag: 'broken', problem: FAILED },
      expect.objectContaining({ tag: 'good', platforms: ['linux/amd64'] }),
      { tag: 'torn', problem: 'the answer broke off' },
    ])
    expect(await shell.run('ls', `${host}/app`, '--sort', 'size', '--include', '^(good|broken)$')).toEqual({
      ...{ out: 'broken\ngood\n', error: `berth: 1 of 2 tags cannot be read: broken: ${FAILED}\n`, code: 1 },
    })
    // What nobody knows the size of may be the largest.
    const largest = ['--sort', 'size', '--desc', '-n', '1', '--include', '^(good|broken)$']
    expect(await shell.run('ls', `${host}/app`, ...largest)).toEqual({
      ...{ out: 'good\n', error: expect.stringContaining('1 of 2 tags cannot be read'), code: 1 },
    })
    expect(
      (await shell.runAt(80, 'ls', '-l', `${host}/app`)).out.split('\n').filter((line) => line.length > 80),
    ).toEqual([])
    expect(await shell.run('ls', '-l', `${host}/app`, '--include', 'good')).toMatchObject({ error: '', code: 0 })
  })

  test('catalog -l, where tags are counted', async () => {
    const rows = [
      ...['REPOSITORY  TAGS  PROBLEM', 'app         7', 'empty       0', 'hidden      -'],
      ...['odd         -     the registry answers 500: 502 Bad Gateway'],
      ...['torn        -     the registry answers with something that is no JSON', ''],
    ]
    const told = [
      `${host} tells of no sizes, changes and pulls; tags were counted.`,
      ...['odd: the registry answers 500: 502 Bad Gateway'],
      ...['torn: the registry answers with something that is no JSON', 'berth: 2 of 5 repositories cannot be read', ''],
    ]
    expect(await shell.run('catalog', '-l', host)).toEqual({ out: rows.join('\n'), error: told.join('\n'), code: 1 })
    asked = []
    const { out } = await shell.run('catalog', '-l', host, '-n', '2', '-f', 'json')
    expect(JSON.parse(out)).toEqual({
      registry: host,
      repositories: [
        { registry: host, name: 'app', tags: 7 },
        { registry: host, name: 'empty', tags: 0 },
      ],
    })
    // Tags of what is not shown are nobody's business.
    expect(asked.filter((path) => path.endsWith('/tags/list'))).toEqual(['/v2/app/tags/list', '/v2/empty/tags/list'])
  })

  test('search --tags', async () => {
    const { out, error, code } = await shell.run('search', 'o', host, '--tags')
    expect([out, code]).toEqual(['app:broken\napp:good\napp:gone\napp:torn\nodd\ntorn\n', 1])
    expect(error).toEndWith('\nberth: 2 of 5 repositories cannot be read\n')
    const json = JSON.parse((await shell.run('search', 'odd', host, '--tags', '-f', 'json')).out)
    expect(json).toMatchObject({
      ...{ complete: false, results: [{ repository: 'odd', tag: null }] },
      unread: [{ name: 'odd', problem: 'the registry answers 500: 502 Bad Gateway' }, { name: 'torn' }],
    })
  })

  test('tree', async () => {
    const { out, error, code } = await shell.run('tree', `${host}/app:multi`)
    const short = ({ digest }: Content) => digest.slice(0, 'sha256:'.length + 12)
    expect(code).toBe(1)
    const [top, ...rest] = out.trimEnd().split('\n')
    expect(top).toStartWith(`${host}/app:multi  index  ${short(INDEX.manifest)}  `)
    expect(top).toEndWith('  its referrers cannot be listed: the registry answers 500: 502 Bad Gateway')
    expect(rest[0]).toBe(`├── linux/amd64  image  ${short(AMD.manifest)}  ${SIZE}`)
    expect(rest.at(-1)).toBe(`└── linux/arm64  image  ${short(ARM.manifest)}  ${FAILED}`)
    expect(error).toBe(
      [
        `${ARM.manifest.digest}: ${FAILED}`,
        `the referrers of ${INDEX.manifest.digest}: the registry answers 500: 502 Bad Gateway`,
        ...['berth: 2 of 3 manifests cannot be read', ''],
      ].join('\n'),
    )
    const { children, problem } = JSON.parse((await shell.run('tree', `${host}/app:multi`, '-f', 'json')).out)
    expect(problem).toStartWith('its referrers cannot be listed')
    expect(children[1]).toMatchObject({ kind: 'image', isThere: true, problem: FAILED, size: 0 })
    expect(await shell.run('tree', `${host}/app:sparse`)).toMatchObject({ error: '', code: 0 })
  })

  test('without rights no other tag fares better: it ends at once', async () => {
    const closed = Bun.serve({
      ...{ hostname: '127.0.0.1', port: 0, development: false },
      fetch: (request) =>
        request.url.includes('/tags/') ? Response.json({ tags: ['a', 'b'] }) : new Response(null, { status: 401 }),
    })
    const at = `127.0.0.1:${closed.port}`
    expect(await shell.run('ls', '-l', `${at}/app`)).toMatchObject({ out: '', code: 3 })
    await closed.stop(true)
  })
})
