import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesText } from '../../src/cli/progress.ts'
import { createUpstream, type Upstream } from '../../src/upstream/upstream.ts'
import { type Content, makeArtifact, makeIndex, type TestImage, type TestIndex } from '../image.ts'
import { describeWith, must, program } from '../programs.ts'
import { file, folder, hardLink, makeLayered, makeTar, pack, symlink } from '../tar.ts'
import { SITES, type Site } from './registry-sites.ts'
import { openVerbShell, type VerbShell } from './verb-shell.ts'

const TIME = 1_767_323_045

const BASE = makeTar([
  folder('bin/'),
  file('bin/sh', '#!', { mode: 0o4755, modified: TIME }),
  folder('etc/'),
  file('etc/passwd', 'root:0\n', { modified: TIME }),
  file('etc/motd', 'hello\n'),
  symlink('etc/link', '/etc/passwd'),
  file('old', 'x'),
])
const NEXT = makeTar([
  folder('etc/'),
  file('etc/passwd', 'kim:1\n', { uid: 7, gid: 8, modified: TIME }),
  file('.wh.old'),
])
const TOP = makeTar([
  folder('app/'),
  file('app/run', 'run\n', { mode: 0o755, modified: TIME }),
  hardLink('app/again', 'app/run'),
])

const PACKED = makeLayered([
  { bytes: BASE, packing: 'gzip' },
  { bytes: NEXT, packing: 'zstd' },
  { bytes: TOP, packing: 'none' },
])
const HISTORY = [
  { created_by: `/bin/sh -c #(nop) ADD file:${'a'.repeat(64)} in / ` },
  { created_by: 'RUN /bin/sh -c a && \t\tb # buildkit' },
  { created_by: 'CMD ["sh\u001b"]', empty_layer: true },
]
const DOCKER = makeLayered([{ bytes: BASE }, { bytes: NEXT }, { bytes: TOP, packing: 'none' }], {
  ...{ format: 'docker', config: { history: HISTORY } },
})
const ARM = makeLayered([{ bytes: makeTar([file('arm', 'arm\n')]) }], { architecture: 'arm64' })
const MULTI = makeIndex([PACKED, ARM])
const SIGNATURE = makeArtifact({ seed: 'sig', artifactType: 'application/x-sig', subject: PACKED.manifest })
const NOTE = makeArtifact({ seed: 'note', artifactType: 'application/x-note', subject: SIGNATURE.manifest })
const KEPT = makeArtifact({
  ...{ seed: 'short', artifactType: 'application/x-files' },
  files: [
    { name: 'notes.txt', bytes: Buffer.from('short\n') },
    { name: '../out', bytes: Buffer.from('{}') },
    { bytes: Buffer.from('nameless') },
    {
      name: 'chart.tgz',
      bytes: pack(makeTar([file('chart/values.yaml', 'a: 1\n')]), 'gzip'),
      type: 'application/x.tar+gzip',
    },
  ],
})
const CUT = pack(NEXT, 'gzip')
const HOSTILE = {
  bomb: makeLayered([
    { bytes: BASE, packed: Buffer.concat(Array<Uint8Array>(6).fill(pack(new Uint8Array(2 ** 26), 'gzip'))) },
  ]),
  cut: makeLayered([{ bytes: BASE }, { bytes: NEXT, packed: CUT.subarray(0, CUT.length - 10) }]),
  text: makeLayered([{ bytes: Buffer.from('{"no": "archive"}'.repeat(50)), packing: 'none' }]),
  names: makeLayered([
    { bytes: makeTar([file('../../etc/shadow', 'S'), file('/abs', 'A'), file('a\u001b[2Jb', 'E'), symlink('l', 'l')]) },
  ]),
  pax: makeLayered([{ bytes: makeTar([{ name: 'p', flag: 'x', size: 7_000_000_000 }]) }]),
}

async function* only(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

const NAMES = ['Berth with its own users, over TLS', 'docker-registry that is open']

describeWith(['docker-registry', 'htpasswd', 'openssl'], 'a look into images', () => {
  describe.each(NAMES)('of %s', (site) => {
    let home: string
    let at: Site
    let shell: VerbShell
    let app: string
    let upstream: Upstream

    async function push(tag: string, image: TestImage | TestIndex) {
      const target = { registry: at.registry, repository: 'team/app' }
      for (const { config, layers, manifest } of 'images' in image ? image.images : [image]) {
        for (const { digest, bytes } of [config, ...layers]) {
          await upstream.blobs.put(target, {
            digest,
            size: bytes.byteLength,
            open: (start) => only(bytes.subarray(start)),
          })
        }
        await upstream.putManifest(target, manifest.digest, manifest)
      }
      await upstream.putManifest(target, tag, image.manifest)
    }

    beforeAll(async () => {
      home = mkdtempSync(join(tmpdir(), 'berth-look-'))
      const start = SITES[site]
      if (start === undefined) throw new Error(site)
      at = await start(home)
      const { user, caFile } = at
      shell = openVerbShell(home, caFile === undefined ? [] : ['--ca-file', caFile])
      if (user !== undefined) {
        await shell.runWith(user.password, 'login', at.registry, '-u', user.username, '--password-stdin')
      }
      app = `${at.registry}/team/app`
      upstream = createUpstream({ env: {}, home, userAgent: 'test', now: Date.now, as: user, caFile, certDirs: [] })
      for (const [tag, image] of Object.entries({
        packed: PACKED,
        docker: DOCKER,
        multi: MULTI,
        kept: KEPT,
        ...HOSTILE,
      })) {
        await push(tag, image)
      }
    })
    afterAll(async () => {
      await at?.dispose()
      rmSync(home, { recursive: true, force: true })
    })

    test('files of an artifact are its layers, by their titles', async () => {
      const [, , nameless] = KEPT.layers
      const leaves = `warning: ${app}:kept has a name that leads out of it or means nothing, such as "../out"\n`
      const names = ['/chart/', '/chart/values.yaml', '/notes.txt', '/out', `/${nameless?.digest}`]
      expect(await shell.run('files', `${app}:kept`)).toEqual({ out: `${names.join('\n')}\n`, error: leaves, code: 0 })
      expect((await shell.run('files', '-l', '--layer', '1', `${app}:kept`)).out).toBe(
        'MODE        OWNER  SIZE  MODIFIED  LAYER  NAME\n-rw-r--r--  0:0    6     -         1      /notes.txt\n',
      )
      for (const [path, text] of [
        ['notes.txt', 'short\n'],
        ['/out', '{}'],
        [nameless?.digest ?? '', 'nameless'],
        ['chart/values.yaml', 'a: 1\n'],
      ] as const) {
        expect(await shell.run('cat', `${app}:kept`, path)).toMatchObject({ out: text, code: 0 })
      }
      expect(await shell.run('cat', `${app}:kept`, 'gone')).toMatchObject({ out: '', code: 2 })
    })

    test('files', async () => {
      const files = async (...args: string[]) => (await shell.run('files', ...args)).out
      const all = '/app/\n/app/again\n/app/run\n/bin/\n/bin/sh\n/etc/\n/etc/link\n/etc/motd\n/etc/passwd\n'
      for (const tag of ['packed', 'docker', 'multi']) {
        expect(await files(`${app}:${tag}`, '-p', 'linux/amd64')).toBe(all)
      }
      expect(await files(`${app}:multi`, '-p', 'linux/arm64')).toBe('/arm\n')
      expect(await files(`${app}:packed`, 'etc')).toBe('/etc/link\n/etc/motd\n/etc/passwd\n')
      expect(await files(`${app}:packed`, '/etc/link')).toBe('/etc/passwd\n')
      expect(await files(`${app}:packed`, '-l', '/bin')).toBe(
        'MODE        OWNER  SIZE  MODIFIED              LAYER  NAME\n' +
          '-rwsr-xr-x  0:0    2     2026-01-02T03:04:05Z  1      /bin/sh\n',
      )
      expect(await files(`${app}:packed`, '-l', '--layer', '2')).toBe(
        'MODE        OWNER  SIZE  MODIFIED              LAYER  NAME\n' +
          'drwxr-xr-x  0:0    0     1970-01-01T00:00:00Z  2      /etc/\n' +
          '-rw-r--r--  7:8    6     2026-01-02T03:04:05Z  2      /etc/passwd\n' +
          '-rw-r--r--  0:0    0     1970-01-01T00:00:00Z  2      /.wh.old\n',
      )
      const [, second] = PACKED.layers
      expect(await files(`${app}:packed`, '--layer', second?.digest.slice(0, 20) ?? '')).toBe(
        '/etc/\n/etc/passwd\n/.wh.old\n',
      )
      const [row] = JSON.parse(await files(`${app}:packed`, '/etc/passwd', '-f', 'json')).files
      expect(row).toEqual({
        ...{ path: '/etc/passwd', type: 'file', mode: '0644', uid: 7, gid: 8, size: 6 },
        ...{ modified: '2026-01-02T03:04:05Z', link: null, layer: second?.digest, layerNumber: 2 },
      })
      expect(await files(`${app}:packed`, '/etc', '-f', '{{.Type}} {{.Path}}')).toBe(
        'symlink /etc/link\nfile /etc/motd\nfile /etc/passwd\n',
      )
    })

    test('cat', async () => {
      const cat = async (...args: string[]) => await shell.run('cat', ...args)
      const shown = (out: string) => ({ out, error: '', code: 0 })
      for (const tag of ['packed', 'docker']) {
        expect(await cat(`${app}:${tag}`, '/etc/passwd')).toEqual(shown('kim:1\n'))
        expect(await cat(`${app}:${tag}`, 'etc/link')).toEqual(shown('kim:1\n'))
        expect(await cat(`${app}:${tag}`, 'etc/motd')).toEqual(shown('hello\n'))
        expect(await cat(`${app}:${tag}`, 'app/again')).toEqual(shown('run\n'))
        expect(await cat(`${app}:${tag}`, 'etc/passwd', '--layer', '1')).toEqual(shown('root:0\n'))
      }
      const failed = (error: string, code: number) => ({ out: '', error, code })
      expect(await cat(`${app}:packed`, '/old')).toEqual(
        failed(`berth: ${app}:packed has no /old\nHint: berth files ${app}:packed\n`, 2),
      )
      expect(await cat(`${app}:packed`, '/etc')).toEqual(
        failed(`berth: ${app}:packed has a directory at /etc\nHint: berth files ${app}:packed /etc\n`, 1),
      )
      expect(await cat(`${app}:packed`, '/old', '--layer', '9')).toEqual(
        failed(`berth: ${app}:packed has 3 layers, and none that is 9\nHint: berth layers ${app}:packed\n`, 2),
      )
      const path = join(home, 'motd')
      expect(await cat(`${app}:packed`, 'etc/motd', '-o', path)).toEqual(shown(''))
      expect(readFileSync(path, 'utf8')).toBe('hello\n')
      await push(
        'binary',
        makeLayered([{ bytes: makeTar([file('bin/true', 'ELF\0'), file('zeros', `${'a'.repeat(9000)}\0`)]) }]),
      )
      expect(await shell.runAt(80, 'cat', `${app}:binary`, 'bin/true')).toEqual(
        failed(
          `berth: /bin/true is no text, and is not printed on a terminal\nHint: add -o FILE, or send it to a file or a pipe\n`,
          1,
        ),
      )
      expect(await shell.runAt(80, 'cat', `${app}:binary`, 'zeros')).toEqual(shown(`${'a'.repeat(9000)}\0`))
      expect(await cat(`${app}:binary`, 'bin/true')).toEqual(shown('ELF\0'))
      expect(await shell.runAt(80, 'cat', `${app}:packed`, 'etc/motd')).toEqual(shown('hello\n'))
      expect(await cat(`${app}:packed`, '/old', '--limit', 'much')).toMatchObject({ out: '', code: 64 })
    })

    test('tree', async () => {
      const refer = async (image: TestImage, subject: TestImage) => {
        await push(image.manifest.digest, image)
        // For a registry without the API of referrers.
        await push(subject.manifest.digest.replace(':', '-'), makeIndex([image]))
      }
      await refer(SIGNATURE, PACKED)
      await refer(NOTE, SIGNATURE)
      const short = ({ digest }: { digest: string }) => digest.slice(0, 19)
      const leaf = (content: { digest: string; bytes: Uint8Array }) =>
        `${short(content)}  ${bytesText(content.bytes.length)}`
      const whole = (...images: TestImage[]) =>
        images
          .flatMap(({ manifest, config, layers }) => [manifest, config, ...layers])
          .reduce((sum, { bytes }) => sum + bytes.length, 0)
      const [first, second, third] = PACKED.layers.map(leaf)
      const all = whole(PACKED, ARM) + MULTI.manifest.bytes.length
      expect(await shell.run('tree', `${app}:multi`)).toEqual({
        out: [
          `${app}:multi  index  ${short(MULTI.manifest)}  ${bytesText(all)}`,
          `├── linux/amd64  image  ${short(PACKED.manifest)}  ${bytesText(whole(PACKED))}`,
          `│   ├── config  ${leaf(PACKED.config)}`,
          `│   ├── layer 1  ${first}`,
          `│   ├── layer 2  ${second}`,
          `│   ├── layer 3  ${third}`,
          `│   └── refers to it  application/x-sig  ${short(SIGNATURE.manifest)}  ${bytesText(whole(SIGNATURE))}`,
          `│       ├── config  ${leaf(SIGNATURE.config)}`,
          `│       ├── layer 1  ${leaf(SIGNATURE.layers[0] as Content)}`,
          `│       └── refers to it  application/x-note  ${short(NOTE.manifest)}  ${bytesText(whole(NOTE))}`,
          `│           ├── config  ${leaf(NOTE.config)}`,
          `│           └── layer 1  ${leaf(NOTE.layers[0] as Content)}`,
          `└── linux/arm64  image  ${short(ARM.manifest)}  ${bytesText(whole(ARM))}`,
          `    ├── config  ${leaf(ARM.config)}`,
          `    └── layer 1  ${leaf(ARM.layers[0] as Content)}`,
          '',
        ].join('\n'),
        error: '',
        code: 0,
      })
      const json = JSON.parse((await shell.run('tree', `${app}:multi`, '-f', 'json', '--artifact-type', 'other')).out)
      expect(json).toMatchObject({ name: `${app}:multi`, kind: 'index', size: all, referrers: [] })
      expect(json.children[0]).toMatchObject({ platform: 'linux/amd64', digest: PACKED.manifest.digest, referrers: [] })
      expect((await shell.run('discover', `${app}:packed`, '--no-trunc')).out).toContain(
        `layer 1  ${PACKED.layers[0]?.digest}  `,
      )
    })

    test('dockerfile', async () => {
      const { out, error, code } = await shell.run('dockerfile', `${app}:docker`)
      expect([error, code]).toEqual(['', 0])
      const [top, second, , , ...rest] = out.split('\n')
      expect(top).toBe(`# Made from the history of ${app}:docker`)
      expect(second).toBe(`# (${DOCKER.manifest.digest}): close to the`)
      expect(rest).toEqual(['FROM scratch', 'ADD <files> /', 'RUN a && \\', '    b', 'CMD ["sh\\u{1b}"]', ''])
      expect(await shell.run('dockerfile', `${app}:packed`)).toEqual({
        out: '',
        error: `berth: ${app}:packed says nothing of how it was made\nHint: berth inspect --config ${app}:packed has what there is\n`,
        code: 2,
      })
    })

    test('search', async () => {
      const search = (...args: string[]) => shell.run('search', ...args)
      expect(await search('APP', at.registry)).toEqual({ out: 'team/app\n', error: '', code: 0 })
      expect((await search('p', at.registry, '--tags', '--include-nothing')).code).toBe(64)
      expect((await search('pack', at.registry, '--tags', '--full-ref')).out).toBe(`${app}:packed\n`)
      expect(JSON.parse((await search('app', at.registry, '-f', 'json')).out)).toEqual({
        ...{ registry: at.registry, term: 'app', complete: true, unread: [] },
        results: [{ repository: 'team/app', tag: null, label: null }],
      })
      expect(await search('u', at.registry, '--tags', '-n', '1')).toEqual({
        out: expect.stringMatching(/^team\/app:[a-z]+\n$/),
        error: 'There is more: these are the first 1; add --limit 10\n',
        code: 0,
      })
      expect(await search('nowhere', at.registry)).toEqual({
        out: '',
        error: `Nothing at ${at.registry} has "nowhere" in its name.\n`,
        code: 0,
      })
      // Whoever is logged in to one registry means that.
      expect(await search('app')).toMatchObject(at.user === undefined ? { code: 64 } : { out: 'team/app\n', code: 0 })
    })

    test('diff', async () => {
      const diff = (...args: string[]) => shell.run('diff', `${app}:packed`, `${app}:changed`, ...args)
      const config = { config: { Env: ['A=1', 'NEW=x'], Labels: { v: '2' } }, history: [] }
      const top = makeTar([
        folder('app/'),
        file('app/run', 'RUN\n', { mode: 0o700 }),
        symlink('app/l', 'run'),
        file('.wh.bin'),
      ])
      const changed = makeLayered([{ bytes: BASE }, { bytes: NEXT, packing: 'zstd' }, { bytes: top }], { config })
      await push('changed', changed)
      const layer = (sign: string, content: Content | undefined) =>
        `  ${sign} ${content?.digest}  ${bytesText(content?.bytes.length ?? 0)}`
      const expected = [
        ...['Configuration', '  + Env A  1', '  + Env NEW  x', '  + Labels v  2'],
        ...['Layers (2 shared)', layer('-', PACKED.layers[2]), layer('+', changed.layers[2])],
        ...['Files', '  - /app/again  4 B', '  + /app/l  -> run', '  ~ /app/run  content, mode 0755 → 0700'],
        ...['  - /bin/', '  - /bin/sh  2 B'],
      ]
      expect(await diff()).toEqual({ out: `${expected.join('\n')}\n`, error: '', code: 0 })
      const short = (digest = '') => digest.slice(0, 'sha256:'.length + 12)
      const wide = await shell.runAt(80, 'diff', `${app}:packed`, `${app}:changed`, '--only', 'layers')
      expect(wide.out).toContain(`  - ${short(PACKED.layers[2]?.digest)}  `)
      expect(wide.out).not.toContain(PACKED.layers[2]?.digest ?? '')
      expect(await diff('--exit-code', '--only', 'config')).toEqual({
        ...{ out: `${expected.slice(0, 4).join('\n')}\n`, error: '', code: 1 },
      })
      expect(await diff('--only', 'all')).toMatchObject({ out: '', code: 64 })
      expect(await shell.run('diff', `${app}:packed`, `${app}:multi`, '-p', 'linux/amd64', '--exit-code')).toEqual({
        ...{ out: '', error: '', code: 0 },
      })
      // The same files, packed in another way.
      expect((await shell.run('diff', `${app}:packed`, `${app}:docker`, '--only', 'files')).out).toBe('')
      const json = JSON.parse((await diff('-f', 'json', '--only', 'files')).out)
      expect(json.sharedLayers).toEqual(PACKED.layers.slice(0, 2).map(({ digest }) => digest))
      expect(json.changes[2]).toMatchObject({
        ...{ part: 'files', change: 'changed', name: '/app/run', ways: ['content', 'mode 0755 → 0700'] },
        ...{ before: { size: 4, layerNumber: 3 }, after: { mode: '0700' } },
      })
    })

    test('what is hostile is told in a line', async () => {
      const { digest } = HOSTILE.bomb.layers[0] ?? { digest: '' }
      const layer = `layer ${digest} (application/vnd.oci.image.layer.v1.tar+gzip)`
      expect(await shell.run('files', `${app}:bomb`, '--limit', 'layer=1MiB')).toEqual({
        out: '',
        error: `berth: ${layer} expands to more than 1 MiB\nHint: to read it all the same add --limit layer=4MiB\n`,
        code: 1,
      })
      expect(await shell.run('files', `${app}:bomb`)).toMatchObject({
        code: 1,
        error: expect.stringContaining('zip bomb\nHint: '),
      })
      expect(await shell.run('files', `${app}:bomb`, '--limit', 'ratio=2000')).toEqual({
        ...{ out: '', error: 'There are no files.\n', code: 0 },
      })
      expect(await shell.run('files', `${app}:cut`)).toMatchObject({
        out: '',
        code: 1,
        error: expect.stringContaining('is damaged: its gzip stream ends too early\n'),
      })
      expect(await shell.run('cat', `${app}:text`, 'x')).toMatchObject({
        out: '',
        code: 1,
        error: expect.stringContaining('is no tar archive\n'),
      })
      expect(await shell.run('files', `${app}:pax`)).toMatchObject({
        out: '',
        code: 1,
        error: expect.stringContaining('a header of 7000000000 bytes'),
      })
      expect(await shell.run('files', `${app}:names`)).toEqual({
        out: '/a\\u{1b}[2Jb\n/abs\n/etc/\n/etc/shadow\n/l\n',
        error: `warning: ${app}:names has a name that leads out of it or means nothing, such as "../../etc/shadow"\n`,
        code: 0,
      })
      expect((await shell.run('cat', `${app}:names`, '../../../etc/shadow')).out).toBe('S')
      expect(await shell.run('cat', `${app}:names`, 'l')).toMatchObject({
        out: '',
        code: 1,
        error: expect.stringContaining('in a circle'),
      })
    })
  })
})

describeWith(['buildah', 'docker-registry', 'skopeo'], 'an image that buildah made', () => {
  test('is seen as buildah sees it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-look-'))
    const site = await (SITES['docker-registry that is open'] as (folder: string) => Promise<Site>)(folder)
    try {
      const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs']
      const buildah = (...args: string[]) => must([program('buildah'), ...storage, ...args])
      mkdirSync(join(folder, 'in/sub'), { recursive: true })
      writeFileSync(join(folder, 'in/one'), 'one\n')
      writeFileSync(join(folder, 'in/sub/two'), 'two\n')
      const image = `${site.registry}/built:v1`
      const first = (await buildah('from', 'scratch')).trim()
      await buildah('copy', '-q', first, join(folder, 'in'), '/data')
      await buildah('commit', '-q', first, 'first')
      const second = (await buildah('from', '--pull-never', 'localhost/first')).trim()
      const mount = (await buildah('mount', second)).trim()
      rmSync(join(mount, 'data/one'))
      writeFileSync(join(mount, 'data/three'), 'three\n')
      await buildah('umount', second)
      await buildah('config', '--env', 'A=1', '--env', 'WORDS=two words', '--label', 'b=2', '--user', 'kim', second)
      await buildah('config', '--entrypoint', '["/run"]', '--cmd', '--to "two words"', '--workingdir', '/srv', second)
      await buildah('config', '--port', '80/tcp', '--volume', '/data', '--stop-signal', 'SIGQUIT', second)
      await buildah('commit', '-q', second, 'second')
      await buildah('push', '-q', '--tls-verify=false', 'localhost/second', `docker://${image}`)
      const shell = openVerbShell(folder)
      expect((await shell.run('files', image)).out).toBe('/data/\n/data/sub/\n/data/sub/two\n/data/three\n')
      expect((await shell.run('cat', image, 'data/three')).out).toBe('three\n')
      expect((await shell.run('cat', image, 'data/sub/two')).out).toBe('two\n')
      expect((await shell.run('cat', image, 'data/one')).code).toBe(2)
      const shown = JSON.parse((await shell.run('inspect', image, '--tags', '-f', 'json')).out)
      const skopeo = JSON.parse(await must([program('skopeo'), 'inspect', '--tls-verify=false', `docker://${image}`]))
      expect(shown).toMatchObject({
        ...{ digest: skopeo.Digest, created: skopeo.Created, labels: skopeo.Labels, env: skopeo.Env },
        ...{ os: skopeo.Os, architecture: skopeo.Architecture, repoTags: skopeo.RepoTags },
        // What skopeo leaves to `inspect --config`.
        ...{ user: 'kim', entrypoint: ['/run'], cmd: ['--to', 'two words'], workingDir: '/srv' },
        ...{ exposedPorts: ['80/tcp'], volumes: ['/data'], stopSignal: 'SIGQUIT' },
      })
      expect(shown.layers.map(({ digest }: { digest: string }) => digest)).toEqual(skopeo.Layers)
      const { out } = await shell.runAt(80, 'inspect', image)
      expect(out.split('\n').filter((line) => line.length > 80)).toEqual([])
      expect(out).toContain(
        [
          ...['Configuration', '  User         kim', '  Working dir  /srv', '  Entrypoint   ["/run"]'],
          ...['  Command      ["--to", "two words"]', '  Ports        80/tcp', '  Volumes      /data'],
          ...['  Stop signal  SIGQUIT', 'Environment'],
        ].join('\n'),
      )
    } finally {
      await site.dispose()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
