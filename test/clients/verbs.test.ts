import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesText } from '../../src/cli/progress.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { createUpstream, type Upstream } from '../../src/upstream/upstream.ts'
import { makeImage, makeIndex, type TestImage } from '../image.ts'
import { describeWith } from '../programs.ts'
import { PASSWORD, SITES, type Site } from './registry-sites.ts'
import { openVerbShell, type VerbShell } from './verb-shell.ts'

async function* only(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

const AMD = makeImage({ layers: [2000], seed: 'amd' })
const ARM = makeImage({ layers: [1000], seed: 'arm', platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } })
const INDEX = makeIndex([AMD, ARM])
const sizeOf = (image: TestImage) =>
  [image.manifest, image.config, ...image.layers].reduce((sum, { bytes }) => sum + bytes.byteLength, 0)

describeWith(['docker-registry', 'htpasswd', 'openssl'], 'the verbs of the client', () => {
  describe.each(Object.keys(SITES))('against %s', (name) => {
    let folder: string
    let site: Site
    let shell: VerbShell
    let app: string

    async function push(upstream: Upstream, repository: string, tags: readonly string[], image: TestImage) {
      const target = { registry: site.registry, repository }
      for (const { digest, bytes } of [image.config, ...image.layers]) {
        await upstream.blobs.put(target, {
          digest,
          size: bytes.byteLength,
          open: (start) => only(bytes.subarray(start)),
        })
      }
      for (const tag of tags) await upstream.putManifest(target, tag, image.manifest)
    }

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'berth-verbs-'))
      const start = SITES[name]
      if (start === undefined) throw new Error(name)
      site = await start(folder)
      shell = openVerbShell(folder, site.caFile === undefined ? [] : ['--ca-file', site.caFile])
      app = `${site.registry}/team/app`
      const { user: as, caFile } = site
      const upstream = createUpstream({
        env: {},
        home: folder,
        userAgent: 'test',
        now: Date.now,
        as,
        caFile,
        certDirs: [],
      })
      await push(upstream, 'team/app', ['v1.9', 'v1.10', 'latest'], AMD)
      await push(upstream, 'team/app', [ARM.manifest.digest], ARM)
      await upstream.putManifest({ registry: site.registry, repository: 'team/app' }, 'multi', INDEX.manifest)
      await push(upstream, 'other', ['one'], ARM)
    })
    afterAll(async () => {
      await site?.dispose()
      rmSync(folder, { recursive: true, force: true })
    })

    test('login, whoami, ping', async () => {
      if (site.user === undefined) {
        expect(await shell.run('whoami', site.registry)).toMatchObject({ out: '', code: 3 })
        expect(await shell.run('ping', site.registry, '--format', '{{range .Authentication}}{{.}}{{end}}')).toEqual({
          out: 'none\n',
          error: '',
          code: 0,
        })
        return
      }
      expect(await shell.run('ls', app)).toEqual({
        out: '',
        error: expect.stringMatching(new RegExp(`^berth: .*\nHint: berth login ${site.registry}\n$`)),
        code: 3,
      })
      expect(await shell.runWith('wrong\n', 'login', site.registry, '-u', 'admin', '--password-stdin')).toEqual({
        out: '',
        error: `berth: ${site.registry} does not accept this name and password\nHint: check both; nothing was stored\n`,
        code: 3,
      })
      expect(await shell.run('whoami', site.registry)).toEqual({
        out: '',
        error: `berth: not logged in to ${site.registry}\nHint: berth login ${site.registry}\n`,
        code: 3,
      })
      const file = join(folder, '.docker/config.json')
      expect(await shell.runWith(`${PASSWORD}\n`, 'login', site.registry, '-u', 'admin', '--password-stdin')).toEqual({
        out: 'Login Succeeded\n',
        error: expect.stringMatching(/^(The password|A token in place of the password) is kept in .*config\.json\.\n$/),
        code: 0,
      })
      const hasTokens = name.includes('Berth')
      // Where there is a token server, the password itself is nowhere.
      const secret = Buffer.from(`admin:${hasTokens ? '' : PASSWORD}`).toString('base64')
      expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
        auths: { [site.registry]: { auth: secret, ...(hasTokens ? { identitytoken: expect.any(String) } : {}) } },
      })
      expect(await shell.run('whoami', site.registry)).toEqual({ out: 'admin\n', error: '', code: 0 })
      expect((await shell.run('whoami', '-l', site.registry)).out).toBe(
        [
          ...[`Registry    ${site.registry}`, 'User        admin'],
          `Credential  ${hasTokens ? 'refresh token' : 'password'}`,
          ...[`Kept in     ${file}`, ...(hasTokens ? ['Account     admin'] : []), ''],
        ].join('\n'),
      )
      if (hasTokens) {
        const kept = JSON.parse(readFileSync(file, 'utf8')).auths[site.registry].identitytoken
        const withToken = (token: string) => shell.runWith(token, 'login', site.registry, '--identity-token-stdin')
        expect(await withToken('wrong')).toEqual({
          out: '',
          error: `berth: ${site.registry} does not accept this token\nHint: it may have ended, or been revoked; nothing was stored\n`,
          code: 3,
        })
        expect(await withToken(`${kept}\n`)).toMatchObject({ out: 'Login Succeeded\n', code: 0 })
        // No name is kept now: the token server knows it.
        expect(await shell.run('whoami', site.registry)).toEqual({ out: 'admin\n', error: '', code: 0 })
      }
      expect(await shell.run('login', site.registry)).toMatchObject({ out: 'Login Succeeded\n', code: 0 })
      const { authentication } = JSON.parse((await shell.run('ping', site.registry, '--format', 'json')).out)
      expect(authentication).toEqual([hasTokens ? 'bearer' : 'basic'])
    })

    test('catalog', async () => {
      expect(await shell.run('catalog', site.registry)).toEqual({ out: 'other\nteam/app\n', error: '', code: 0 })
      expect((await shell.run('catalog', site.registry, '--full-ref', '--prefix', 'team/')).out).toBe(`${app}\n`)
      expect((await shell.run('catalog', site.registry, '-n', '1')).out).toBe('other\n')
      // Whoever is logged in to one registry means that.
      for (const [verb, out] of [
        ['catalog', 'other\nteam/app\n'],
        ['whoami', 'admin\n'],
      ] as const) {
        expect(await shell.run(verb)).toEqual(
          site.user === undefined
            ? {
                ...{ out: '', code: 64 },
                error: `berth: name the registry: you are logged in to none\nHint: berth ${verb} HOST:PORT\n`,
              }
            : { out, error: '', code: 0 },
        )
      }
    })

    test('ls', async () => {
      const list = async (...args: string[]) => (await shell.run('ls', app, ...args)).out
      expect((await list()).split('\n').sort()).toEqual(['', 'latest', 'multi', 'v1.10', 'v1.9'])
      expect(await list('--sort', 'semver', '--include', '^v', '--desc')).toBe('v1.10\nv1.9\n')
      expect(await list('--sort', 'name', '--exclude', '^v', '-n', '1', '--full-ref')).toBe(`${app}:latest\n`)
      expect(await list('--sort', 'name', '--format', '{{range .Tags}}{{println .}}{{end}}')).toBe(
        'latest\nmulti\nv1.10\nv1.9\n',
      )
      // What only Berth tells; nothing of this is a pull.
      const isBerth = name.startsWith('Berth')
      const told = isBerth ? { pushedAt: expect.any(String), pulls: 0, lastPullAt: null } : {}
      const rows = (await list('-l', '--sort', 'size', '--desc', '--format', 'ndjson')).trim().split('\n')
      const row = (tag: string) => ({
        tag,
        digest: AMD.manifest.digest,
        mediaType: AMD.manifest.mediaType,
        platforms: ['linux/amd64'],
        size: sizeOf(AMD),
        created: null,
        ...told,
      })
      expect(rows.map((text) => JSON.parse(text))).toEqual([
        {
          ...row('multi'),
          digest: INDEX.manifest.digest,
          mediaType: INDEX.manifest.mediaType,
          platforms: ['linux/amd64', 'linux/arm64/v8'],
          size: sizeOf(AMD) + sizeOf(ARM) + INDEX.manifest.bytes.byteLength,
        },
        ...['v1.9', 'v1.10', 'latest'].map(row),
      ])
      const size = `${(sizeOf(AMD) / 1024).toFixed(1)} KiB`
      const [titles, line] = (await list('-l', '--include', 'v1.9')).split('\n').map((text) => text.split(/ {2,}/))
      const more = isBerth
        ? [
            ['PUSHED', 'PULLS', 'LAST PULL'],
            [expect.stringMatching(/^2\d{3}-.*Z$/), '0', '-'],
          ]
        : [[], []]
      expect(titles).toEqual(['TAG', 'DIGEST', 'PLATFORMS', 'SIZE', ...(more[0] ?? [])])
      expect(line).toEqual(['v1.9', AMD.manifest.digest, 'linux/amd64', size, ...(more[1] ?? [])])
      expect(await shell.run('ls', app, '--sort', 'pushed')).toMatchObject({ code: isBerth ? 0 : 4 })
      const catalog = await shell.run('catalog', site.registry, '-l')
      const [catalogTitles, ...repositories] = catalog.out.split('\n').map((text) => text.split(/ {2,}/))
      expect(catalogTitles).toEqual(
        isBerth ? ['REPOSITORY', 'TAGS', 'SIZE', 'UPDATED', 'PULLS', 'LAST PULL'] : ['REPOSITORY', 'TAGS'],
      )
      expect(repositories.map(([repository, tags]) => [repository, tags])).toEqual([
        ...[
          ['other', '1'],
          ['team/app', '4'],
          ['', undefined],
        ],
      ])
      expect([catalog.error, catalog.code]).toEqual([
        isBerth ? '' : `${site.registry} tells of no sizes, changes and pulls; tags were counted.\n`,
        0,
      ])
    })

    test('digest and manifest', async () => {
      const show = async (...args: string[]) => (await shell.run(...args)).out
      expect(await show('digest', `${app}:v1.9`)).toBe(`${AMD.manifest.digest}\n`)
      expect(await show('digest', `${app}:multi`, '--platform', 'linux/arm64', '--full-ref')).toBe(
        `${app}@${ARM.manifest.digest}\n`,
      )
      expect(digestOf(Buffer.from(await show('manifest', `${app}:multi`)))).toBe(INDEX.manifest.digest)
      expect(JSON.parse(await show('manifest', `${app}:multi`, '-p', 'linux/amd64', '--pretty'))).toEqual(
        JSON.parse(new TextDecoder().decode(AMD.manifest.bytes)),
      )
      const file = join(folder, 'manifest.json')
      expect(await shell.run('manifest', app, '-o', file)).toEqual({ out: '', error: '', code: 0 })
      expect(digestOf(readFileSync(file))).toBe(AMD.manifest.digest)
      expect(await shell.run('digest', `${app}:multi`, '--platform', 'linux/s390x')).toEqual({
        out: '',
        error: `berth: ${app}:multi is not there for linux/s390x\nHint: it is there for linux/amd64, linux/arm64/v8\n`,
        code: 2,
      })
      expect(await shell.run('digest', `${app}:none`)).toEqual({
        out: '',
        error: `berth: ${app}:none is not there\nHint: berth ls ${app}\n`,
        code: 2,
      })
      expect(await shell.run('manifest', `${app}:none`)).toMatchObject({ out: '', code: 2 })
    })

    test('inspect, layers and history', async () => {
      const show = async (...args: string[]) => (await shell.run(...args)).out
      const arm = ['-p', 'linux/arm64', `${app}:multi`]
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
      expect(await show('inspect', '--config', ...arm)).toBe(text(ARM.config.bytes))
      expect(await show('inspect', '--config', '-f', '{{.Architecture}} {{json .Config.Labels}}', ...arm)).toBe(
        'arm64 {"seed":"arm"}\n',
      )
      expect(await show('inspect', '-f', 'raw', `${app}:multi`)).toBe(text(INDEX.manifest.bytes))
      const layers = ARM.layers.map(({ digest, mediaType, bytes }) => ({ digest, size: bytes.byteLength, mediaType }))
      const { config, manifest } = ARM
      expect(JSON.parse(await show('inspect', '-f', 'json', ...arm))).toEqual({
        name: `${app}:multi`,
        digest: manifest.digest,
        mediaType: manifest.mediaType,
        index: {
          digest: INDEX.manifest.digest,
          mediaType: INDEX.manifest.mediaType,
          platforms: ['linux/amd64', 'linux/arm64/v8'],
        },
        ...{ platform: 'linux/arm64/v8', os: 'linux', architecture: 'arm64', created: null, author: null },
        ...{ user: null, workingDir: null, entrypoint: null, cmd: null, env: [], exposedPorts: [], volumes: [] },
        ...{ stopSignal: null, healthcheck: null },
        size: sizeOf(ARM),
        artifactType: config.mediaType,
        subject: null,
        layers,
        labels: { seed: 'arm' },
        annotations: {},
      })
      const described = await show('inspect', ...arm)
      const [layer] = layers
      expect(described).toBe(
        [
          ...[`Name     ${app}:multi`, `Digest   ${manifest.digest}`, `Index    ${INDEX.manifest.digest}`],
          ...[`Type     ${manifest.mediaType}`, 'OS/Arch  linux/arm64/v8 (there is linux/amd64, too: --platform)'],
          ...[`Size     ${bytesText(sizeOf(ARM))} in 1 layer`, 'Labels', '  seed=arm', 'Layers'],
          ...[`  ${layer?.digest}  ${bytesText(layer?.size ?? 0)}  ${layer?.mediaType}`, ''],
        ].join('\n'),
      )
      expect(await show('inspect', '--raw', `${app}:multi`)).toBe(text(INDEX.manifest.bytes))
      expect(await show('inspect', '--tags', '-f', '{{json .RepoTags}}', ...arm)).toBe(
        '["latest","multi","v1.10","v1.9"]\n',
      )
      expect(await show('inspect', '--tags', ...arm)).toEndWith('\nTags\n  latest\n  multi\n  v1.10\n  v1.9\n')
      expect(await shell.run('inspect', '--tags', '--raw', app)).toMatchObject({ out: '', code: 64 })
      expect(JSON.parse(await show('layers', '-f', 'json', ...arm))).toEqual({ digest: manifest.digest, layers })
      expect(await show('layers', ...arm)).toContain(`${layers[0]?.digest}  ${bytesText(layers[0]?.size ?? 0)}  `)
      expect(await show('history', ...arm)).toBe(
        `CREATED               SIZE     CREATED BY\n2020-01-01T00:00:00Z  ${bytesText(layers[0]?.size ?? 0)}  layer 0\n`,
      )
      expect((await shell.run('inspect', '-p', 'linux/s390x', `${app}:multi`)).code).toBe(2)
    })

    test('tag, untag and delete', async () => {
      const { digest } = AMD.manifest
      const tags = async () => (await shell.run('ls', app, '--sort', 'name')).out.trim().split('\n')
      expect(await shell.run('tag', `${app}:v1.9`, 'prod', 'spare')).toEqual({
        out: `${app}:prod@${digest}\n${app}:spare@${digest}\n`,
        error: '',
        code: 0,
      })
      expect(await shell.run('tag', `${app}:none`, 'x')).toMatchObject({ out: '', code: 2 })
      expect(await shell.run('tag', app, `${app}:prod`)).toMatchObject({ out: `${app}:prod@${digest}\n`, code: 0 })
      for (const name of [`${app}:`, `${app}@${digest}`, app]) {
        expect(await shell.run('tag', app, name)).toMatchObject({ out: '', code: 64 })
      }
      expect(await shell.run('tag', app, `${site.registry}/else/app:x`)).toEqual({
        out: '',
        error: `berth: ${site.registry}/else/app:x is in another repository than ${app}\nHint: berth cp ${app} ${site.registry}/else/app:x\n`,
        code: 64,
      })
      const before = ['latest', 'multi', 'prod', 'spare', 'v1.10', 'v1.9']
      expect(await tags()).toEqual(before)

      expect(await shell.run('delete', `${app}:prod`, '--dry-run')).toEqual({
        out: `${app}:prod\n`,
        error: 'Nothing is deleted: this is what would be.\n',
        code: 0,
      })
      expect(await tags()).toEqual(before)
      const gone = await shell.run('delete', `${app}:prod`)
      if (name.startsWith('Berth')) {
        expect(gone).toEqual({ out: `${app}:prod\n`, error: '', code: 0 })
        expect(await shell.run('untag', `${app}:spare`)).toEqual({ out: `${app}:spare\n`, error: '', code: 0 })
        expect(await tags()).toEqual(['latest', 'multi', 'v1.10', 'v1.9'])
        expect((await shell.run('digest', `${app}@${digest}`)).code).toBe(0)
      } else {
        // Nothing but the manifest can be deleted there, and what that takes with it is said before.
        expect(gone).toMatchObject({ out: '', code: 4 })
        expect(gone.error).toContain(`${site.registry} cannot delete the tag prod alone`)
        const others = gone.error
          .match(/which removes (.*), too/)?.[1]
          ?.split(', ')
          .sort()
        expect(others).toEqual(['latest', 'spare', 'v1.10', 'v1.9'])
        expect(gone.error).toEndWith(`\nHint: berth delete --manifest ${app}:prod\n`)
        expect(await tags()).toEqual(before)
      }

      expect(await shell.run('delete', `${app}:none`)).toMatchObject({ out: '', code: 2 })
      expect(await shell.run('untag', '--force', `${app}:none`)).toEqual({
        out: '',
        error: `${app}:none is not there\n`,
        code: 0,
      })
      expect(await shell.run('delete', app)).toMatchObject({ out: '', code: 64 })
      expect(await shell.run('untag', `${app}@${digest}`)).toMatchObject({ out: '', code: 64 })

      // The other tags are named before anything is asked, and nobody's silence is a yes.
      const asked = await shell.run('delete', '--manifest', `${app}:v1.9`)
      expect(asked).toMatchObject({ out: '', code: 64 })
      for (const tag of ['latest', 'v1.10', 'v1.9']) expect(asked.error).toContain(tag)
      expect(await shell.runAnswering(['n'], 'delete', '--manifest', `${app}:v1.9`)).toMatchObject({ out: '', code: 1 })
      const planned = await shell.run('delete', '--manifest', `${app}:v1.9`, '--dry-run')
      expect((await shell.run('digest', `${app}:v1.9`)).code).toBe(0)
      const done = await shell.runAnswering(['y'], 'delete', '--manifest', `${site.registry}/other:one`)
      expect(done).toMatchObject({
        out: `${site.registry}/other@${ARM.manifest.digest}\n${site.registry}/other:one\n`,
        code: 0,
      })
      expect((await shell.run('digest', `${site.registry}/other:one`)).code).toBe(2)
      const deleted = await shell.run('delete', `${app}@${INDEX.manifest.digest}`, '--force')
      expect(deleted).toEqual({ out: `${app}@${INDEX.manifest.digest}\n${app}:multi\n`, error: '', code: 0 })
      // Two tags of one manifest: the second is gone with the first, which is no fault.
      const removed = await shell.run('delete', '--manifest', `${app}:v1.9`, `${app}:v1.10`, '--force')
      expect(removed).toEqual({ out: planned.out, error: '', code: 0 })
      expect((await shell.run('digest', `${app}:v1.10`)).code).toBe(2)
    })

    test('logout, last', async () => {
      if (site.user === undefined) return
      const removed = { out: `Removing login credentials for ${site.registry}\n`, error: '', code: 0 }
      expect(await shell.run('logout', site.registry)).toEqual(removed)
      expect(await shell.run('logout', site.registry)).toEqual({
        out: '',
        error: `Not logged in to ${site.registry}\n`,
        code: 0,
      })
      // At a terminal both are asked for.
      expect(await shell.runAnswering(['admin', PASSWORD], 'login', site.registry)).toMatchObject({ code: 0 })
      expect(await shell.run('logout', '--all')).toEqual(removed)
      expect(await shell.run('ls', app)).toMatchObject({ out: '', code: 3 })
    })
  })
})
