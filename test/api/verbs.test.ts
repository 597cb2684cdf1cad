import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openVerbShell } from '../clients/verb-shell.ts'
import { json, makeImage, makeIndex, pushBlob, pushImage, type TestImage, writeLayout } from '../image.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'

const LONG = 'platform-engineering/services/payment-gateway-adapter/integration-tests'
const AMD = makeImage({ layers: [2000, 300], seed: 'amd' })
const ARM = makeImage({ layers: [100], seed: 'arm', platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } })

/** As docker builds them: times with nine digits. */
const NEW = '2026-01-02T03:04:05.123456789Z'
function dated(): TestImage {
  const { config, manifest, ...rest } = AMD
  const text = JSON.parse(new TextDecoder().decode(config.bytes))
  const command = `RUN /bin/sh -c ${'apt-get install -y something && '.repeat(20)}true`
  const history = [{ created: NEW, created_by: command }]
  const dating = json(config.mediaType, { ...text, created: NEW, history })
  const body = JSON.parse(new TextDecoder().decode(manifest.bytes))
  const named = { ...body, config: { ...body.config, digest: dating.digest, size: dating.bytes.length } }
  return { ...rest, config: dating, manifest: json(manifest.mediaType, named) }
}

describe('what somebody sees who is new to the verbs', () => {
  let registry: TestRegistry
  let host: string
  let folder: string
  const shell = openVerbShell('/nonexistent')

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-newcomer-'))
    registry = await startRegistry()
    host = `127.0.0.1:${registry.port}`
    for (const tag of ['v1.9', 'v1.10', 'latest']) await pushImage(registry.url, 'team/app', AMD, { tag })
    await pushImage(registry.url, 'team/app', makeIndex([AMD, ARM]), { tag: 'multi' })
    await pushImage(registry.url, 'other/app', ARM, { tag: 'arm' })
    await pushImage(registry.url, LONG, dated(), { tag: 'pr-1234-feature-a-very-long-branch-name-of-somebody' })
  })
  afterAll(async () => {
    await registry?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test.each<[string, (host: string) => string[]]>([
    ['ls -l', (at) => ['ls', '-l', `${at}/team/app`]],
    ['ls -l, of long names', (at) => ['ls', '-l', `${at}/${LONG}`]],
    ['catalog -l', (at) => ['catalog', '-l', at]],
    ['layers', (at) => ['layers', `${at}/team/app:v1.9`]],
    ['history', (at) => ['history', `${at}/${LONG}:pr-1234-feature-a-very-long-branch-name-of-somebody`]],
    ['index list', (at) => ['index', 'list', `${at}/team/app:multi`]],
    ['tree', (at) => ['tree', `${at}/team/app:multi`]],
    ['cp --dry-run', (at) => ['cp', '--dry-run', `${at}/team/app:multi`, `${at}/new/app`]],
  ])('%s fits 80 columns, and shows whole digests where there is no terminal', async (_, args) => {
    for (const columns of [80, 120]) {
      const { out, code } = await shell.runAt(columns, ...args(host))
      expect(code).toBe(0)
      for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(columns)
      expect(out).not.toMatch(/[0-9a-f]{64}/)
    }
    const whole = await shell.run(...args(host), '--no-trunc')
    expect(await shell.runAt(80, ...args(host), '--no-trunc')).toEqual(whole)
    if (!['catalog', 'history'].includes(args(host)[0] ?? '')) expect(whole.out).toMatch(/[0-9a-f]{64}/)
  })

  test('times have seconds in tables, and all their digits for programs', async () => {
    const image = `${host}/${LONG}:pr-1234-feature-a-very-long-branch-name-of-somebody`
    for (const verb of ['history', 'inspect']) {
      expect((await shell.run(verb, image)).out).toContain('2026-01-02T03:04:05Z')
    }
    expect((await shell.run('history', image, '-f', '{{.Created}}')).out).toBe(`${NEW}\n`)
  })

  test('a list without rows is a sentence for people, and nothing for programs', async () => {
    const nothing = { out: '', error: 'No tag fits what was asked for.\n', code: 0 }
    expect(await shell.run('ls', `${host}/team/app`, '--include', 'x')).toEqual(nothing)
    expect(await shell.run('ls', '-l', `${host}/team/app`, '--include', 'x')).toEqual(nothing)
    expect(await shell.run('ls', `${host}/team/app`, '--include', 'x', '-f', 'ndjson')).toEqual({
      ...nothing,
      error: '',
    })
    expect(await shell.run('catalog', host, '--prefix', 'x')).toEqual({
      ...nothing,
      error: 'No repository fits what was asked for.\n',
    })
  })

  describe('an error says what to do', () => {
    test.each<[string, (host: string) => string[], number, RegExp]>([
      ['a tag that is nearly right', (at) => ['inspect', `${at}/team/app:v1.8`], 2, /there is v1\.9 \(berth ls /],
      ['of digest', (at) => ['digest', `${at}/team/app:latst`], 2, /there is latest \(/],
      ['of delete', (at) => ['delete', `${at}/team/app:v1.19`], 2, /there is v1\.10, v1\.9 \(/],
      ['a tag like no other', (at) => ['inspect', `${at}/team/app:nothing`], 2, /Hint: berth ls \S+\/team\/app$/m],
      ['a repository that is nearly right', (at) => ['ls', `${at}/team/apps`], 2, /there is team\/app \(berth catalog/],
      ['capitals', (at) => ['digest', `${at}/Team/App:v1`], 64, /Hint: write \S+\/team\/app$/m],
      ['a scheme', (at) => ['digest', `https://${at}/team/app:v1`], 64, /Hint: write 127\S+\/team\/app:v1$/m],
      ['no repository', (at) => ['digest', at], 64, /Hint: berth catalog 127/],
      ['a digest of a list', (at) => ['digest', `${at}/team/app@8bd455036010`], 64, /--no-trunc/],
      ['a repository for a registry', (at) => ['catalog', `${at}/team`], 64, /Hint: write 127\.0\.0\.1:\d+$/m],
      ['nobody there', () => ['ping', '127.0.0.1:1'], 5, /is the registry running/],
      ['json of bytes', (at) => ['cat', `${at}/team/app:v1.9`, '/x', '-f', 'json'], 64, /no other format than raw/],
      ['json of pull', (at) => ['pull', `${at}/team/app:v1.9`, 'x', '--format', 'json'], 64, /form of the archive/],
      ['raw of tree', (at) => ['tree', `${at}/team/app:v1.9`, '-f', 'raw'], 64, /no format of this verb/],
      ['a limit', (at) => ['validate', `${at}/team/app:v1.9`, '--limit', 'x=1'], 64, /Write layer=64GiB/],
      ['the same one', (at) => ['files', `${at}/team/app:v1.9`, '--limit', 'x=1'], 64, /Write layer=64GiB/],
    ])('%s', async (_, args, code, hint) => {
      const shown = await shell.run(...args(host))
      expect([shown.out, shown.code]).toEqual(['', code])
      expect(shown.error).toMatch(hint)
    })

    test('a file that was meant, and not an image of Docker Hub', async () => {
      const before = process.cwd()
      process.chdir(folder)
      try {
        writeFileSync('App.tar', 'x')
        const shown = await shell.run('validate', 'App.tar')
        expect([shown.code, shown.error]).toEqual([64, expect.stringContaining('Hint: berth validate ./App.tar reads')])
      } finally {
        process.chdir(before)
      }
    })
  })

  test('an index of two images for one platform is refused before anything is copied', async () => {
    const names = [`${host}/team/app:v1.9`, `${host}/${LONG}:pr-1234-feature-a-very-long-branch-name-of-somebody`]
    for (const [verb, index] of [
      ['create', `${host}/new/index:1`],
      ['append', `${host}/team/app:multi`],
    ] as const) {
      const shown = await shell.run('index', verb, index, ...names)
      expect([shown.out, shown.code]).toEqual(['', 64])
      expect(shown.error).toContain(`${names[0]} and ${names[1]} are both for linux/amd64\nHint: `)
    }
    expect((await shell.run('ls', `${host}/new/index`)).code).toBe(2)
    // The same image twice is one.
    expect((await shell.run('index', 'create', `${host}/new/index:1`, names[0] ?? '', names[0] ?? '')).code).toBe(0)
  })

  test('what is written tells of itself in every format', async () => {
    const create = ['index', 'create', `${host}/formats/index:1`, `${host}/team/app:v1.9`, '-q']
    const raw = await shell.run(...create, '-f', 'raw')
    const digest = new Bun.CryptoHasher('sha256').update(raw.out).digest('hex')
    expect((await shell.run(...create, '-f', '{{.Digest}}')).out).toBe(`sha256:${digest}\n`)
    expect((await shell.run('index', 'list', `${host}/formats/index:1`, '-f', 'raw')).out).toBe(raw.out)
    const file = join(folder, 'blob')
    writeFileSync(file, 'bytes')
    const put = await shell.run('blob', 'put', `${host}/formats/index`, file, '-q', '-f', '{{.Size}} {{.Digest}}')
    expect(put.out).toMatch(/^5 sha256:[0-9a-f]{64}\n$/)
    const dockerfile = await shell.run('dockerfile', `${host}/team/app:v1.9`, '-f', '{{.Digest}}')
    expect(dockerfile.out).toBe(`${AMD.manifest.digest}\n`)
    expect((await shell.run('validate', `${host}/team/app:v1.9`, '-f', '{{.Ok}}')).out).toBe('true\n')
    const copied = await shell.run('cp', `${host}/team/app:v1.9`, `${host}/formats/app`, '-q', '-f', '{{.Digest}}')
    expect(copied.out).toBe(`${AMD.manifest.digest}\n`)
  })

  test('one tag that cannot be copied does not keep the others from it', async () => {
    await pushImage(registry.url, 'broken/app', AMD, { tag: 'a' })
    await pushImage(registry.url, 'broken/app', ARM, { tag: 'c' })
    const absent = makeImage({ layers: [10], seed: 'absent' })
    const index = makeIndex([AMD, absent])
    await pushImage(registry.url, 'broken/app', index, { tag: 'b' })
    await fetch(`${registry.url}/v2/broken/app/manifests/${absent.manifest.digest}`, { method: 'DELETE' })
    const shown = await shell.run('cp', '--all-tags', `${host}/broken/app`, `${host}/mended/app`, '-q')
    expect([shown.code, shown.out.match(/:[ac]@/g)]).toEqual([1, [':a@', ':c@']])
    expect(shown.error).toMatch(/\nberth: 1 tag of 3 failed: b\nHint: the same command again /)
    const whole = JSON.parse(
      (await shell.run('cp', '--all-tags', `${host}/broken/app`, `${host}/mended/app`, '-q', '-f', 'json')).out,
    )
    expect(whole).toMatchObject({ images: [{}, {}], failed: [{ source: `${host}/broken/app:b` }] })
  })

  test('what a layer changes is shown like a difference', async () => {
    const image = `${host}/team/app:v1.9`
    expect((await shell.run('files', '--changed', image)).out).toBe('+ /layer-1  300 B\n')
    expect((await shell.run('files', '--changed', '--layer', '1', image)).out).toBe('+ /layer-0  2.0 KiB\n')
    expect((await shell.run('files', '--changed', image, '/nothing')).error).toBe('Nothing is changed.\n')
    expect((await shell.run('files', '--changed', image, '-f', '{{.Change}} {{.Name}}')).out).toBe('added /layer-1\n')
  })

  test('another platform than was asked for is never sent from a file', async () => {
    const layout = join(folder, 'layout')
    writeLayout(layout, AMD, 'v1')
    const shown = await shell.run('push', '-p', 'linux/arm64', layout, `${host}/from/file:v1`)
    expect([shown.out, shown.code]).toEqual(['', 2])
    expect(shown.error).toContain('is not there for linux/arm64\nHint: it is there for linux/amd64\n')
    expect((await shell.run('push', '-p', 'linux/amd64', '-q', layout, `${host}/from/file:v1`)).code).toBe(0)
  })

  test('blobs of a config may be anything', async () => {
    const odd = json('application/vnd.example.config+json', ['no', 'platform'])
    await pushBlob(registry.url, 'odd/app', odd)
    const descriptor = { mediaType: odd.mediaType, digest: odd.digest, size: odd.bytes.length }
    const manifest = json(AMD.manifest.mediaType, {
      schemaVersion: 2,
      mediaType: AMD.manifest.mediaType,
      config: descriptor,
      layers: [],
    })
    await fetch(`${registry.url}/v2/odd/app/manifests/v1`, {
      ...{ method: 'PUT', headers: { 'Content-Type': manifest.mediaType }, body: manifest.bytes },
    })
    expect((await shell.run('digest', '-p', 'linux/arm64', `${host}/odd/app:v1`)).out).toBe(`${manifest.digest}\n`)
    expect(await shell.run('layers', `${host}/odd/app:v1`)).toMatchObject({
      out: '',
      error: expect.stringContaining('has no layers'),
    })
  })
})

describe('somebody without rights', () => {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      if (new URL(request.url).pathname === '/v2/') {
        return new Response('', { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } })
      }
      const isQuota = request.url.includes('quota')
      const message = isQuota ? 'the quota of team is used up' : 'requested access to the resource is denied'
      return Response.json({ errors: [{ code: 'DENIED', message }] }, { status: 403 })
    },
  })
  afterAll(() => server.stop(true))
  const host = `127.0.0.1:${server.port}`

  test('is told who he is, or to log in; a rule for everybody speaks for itself', async () => {
    const auths = { [host]: { auth: btoa('kim:secret') } }
    const kim = openVerbShell('/nonexistent', [], { DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) })
    expect((await kim.run('ls', `${host}/app`)).error).toMatch(
      /access to the resource is denied\nHint: you are kim at /,
    )
    expect((await kim.run('ls', `${host}/quota`)).error).toMatch(/used up\n$/)
    expect((await openVerbShell('/nonexistent').run('ls', `${host}/app`)).error).toMatch(/Hint: berth login 127/)
  })
})

describe('whoami', () => {
  let claims: object = {}
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      const { pathname, origin } = new URL(request.url)
      if (pathname === '/auth') {
        const token = ['e30', Buffer.from(JSON.stringify(claims)).toString('base64url'), 'x'].join('.')
        return Response.json({ token })
      }
      const challenge = { 'WWW-Authenticate': `Bearer realm="${origin}/auth",service="s"` }
      return request.headers.has('authorization')
        ? new Response('{}')
        : new Response('', { status: 401, headers: challenge })
    },
  })
  afterAll(() => server.stop(true))
  const host = `127.0.0.1:${server.port}`
  const auths = { [host]: { auth: btoa('kim:secret') } }
  const kim = openVerbShell('/nonexistent', [], { DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) })

  test.each<[string, object, string, string[] | null]>([
    [
      'shows the groups that the token server names',
      { sub: 'kim', groups: ['dev', 'ops'] },
      'Groups      dev, ops\n',
      ['dev', 'ops'],
    ],
    ['says nothing of them where it does not', { sub: 'kim' }, 'Account     kim\n', null],
    ['nor where they are something else', { sub: 'kim', groups: 'dev' }, 'Account     kim\n', null],
  ])('%s', async (_, said, end, groups) => {
    claims = said
    expect((await kim.run('whoami', '-l', host)).out).toEndWith(end)
    expect(JSON.parse((await kim.run('whoami', host, '-f', 'json')).out)).toMatchObject({ account: 'kim', groups })
  })
})
