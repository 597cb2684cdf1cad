import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makePair } from '../certificates.ts'
import { makeArtifact, makeImage, makeIndex, pushImage, writeLayout } from '../image.ts'
import { describeWith, type Ended, must, program, run } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'

const PASSWORD = 'a-password-for-admin'
const image = makeImage({ layers: [1_000, 3_000_000, 200_000], seed: 'skopeo' })
const index = makeIndex([
  makeImage({ layers: [5_000, 6_000], seed: 'amd64' }),
  makeImage({ layers: [7_000], seed: 'arm64', platform: { architecture: 'arm64', os: 'linux', variant: 'v8' } }),
])

describeWith(['skopeo', 'openssl'], 'skopeo against berth serve', () => {
  let folder = ''
  let berth: Berth
  let host = ''

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-skopeo-'))
    berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
    host = `localhost:${berth.port}`
    writeLayout(join(folder, 'image'), image, 'latest')
    writeLayout(join(folder, 'index'), index, 'latest')
  })

  afterAll(async () => {
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const env = () => ({ REGISTRY_AUTH_FILE: join(folder, 'auth.json') })
  const skopeo = (...args: string[]): Promise<Ended> => run([program('skopeo'), ...args], { env: env() })
  const mustSkopeo = (...args: string[]): Promise<string> => must([program('skopeo'), ...args], { env: env() })
  const plain = { from: '--src-tls-verify=false', to: '--dest-tls-verify=false' }
  /** Digest of what a layout's index.json names. */
  const rootOf = (layout: string) =>
    JSON.parse(readFileSync(join(folder, layout, 'index.json'), 'utf8')).manifests[0].digest

  test('it logs in', async () => {
    const command = ['login', '--tls-verify=false', '-u', 'admin', '--password-stdin', host]
    const answer = await run([program('skopeo'), ...command], { env: env(), stdin: PASSWORD })
    expect(answer).toMatchObject({ code: 0, stdout: 'Login Succeeded!\n' })
  })

  test('an image goes from a layout to the registry and back with its digest', async () => {
    await mustSkopeo('copy', plain.to, `oci:${folder}/image:latest`, `docker://${host}/team/app:1`)
    await mustSkopeo('copy', plain.from, `docker://${host}/team/app:1`, `oci:${folder}/image-back:latest`)
    expect(rootOf('image-back')).toBe(image.manifest.digest)
    for (const { digest, bytes } of [image.config, ...image.layers]) {
      const path = join(folder, 'image-back/blobs', digest.replace(':', '/'))
      expect(Buffer.compare(readFileSync(path), bytes)).toBe(0)
    }
  })

  test('it inspects the image and its raw manifest', async () => {
    const shown = JSON.parse(await mustSkopeo('inspect', '--tls-verify=false', `docker://${host}/team/app:1`))
    expect(shown).toMatchObject({
      Name: `${host}/team/app`,
      Digest: image.manifest.digest,
      RepoTags: ['1'],
      Labels: { seed: 'skopeo' },
      Layers: image.layers.map(({ digest }) => digest),
    })
    const raw = await mustSkopeo('inspect', '--raw', '--tls-verify=false', `docker://${host}/team/app:1`)
    expect(raw.trimEnd()).toBe(Buffer.from(image.manifest.bytes).toString())
  })

  test('a docker-archive is pushed', async () => {
    await mustSkopeo('copy', `oci:${folder}/image:latest`, `docker-archive:${folder}/image.tar:app:2`)
    await mustSkopeo('copy', plain.to, `docker-archive:${folder}/image.tar:app:2`, `docker://${host}/team/app:2`)
    const config = await mustSkopeo('inspect', '--config', '--tls-verify=false', `docker://${host}/team/app:2`)
    expect(JSON.parse(config).rootfs).toEqual(JSON.parse(Buffer.from(image.config.bytes).toString()).rootfs)
  })

  test('it copies between repositories of one registry', async () => {
    const source = `docker://${host}/team/app:1`
    await mustSkopeo('copy', plain.from, plain.to, source, `docker://${host}/elsewhere/app:1`)
    const digest = await mustSkopeo(
      ...['inspect', '--format', '{{.Digest}}', '--tls-verify=false', `docker://${host}/elsewhere/app:1`],
    )
    expect(digest.trim()).toBe(image.manifest.digest)
  })

  test('an index of two platforms is copied with --all, there and back', async () => {
    await mustSkopeo('copy', '--all', plain.to, `oci:${folder}/index:latest`, `docker://${host}/team/multi:1`)
    await mustSkopeo('copy', '--all', plain.from, `docker://${host}/team/multi:1`, `oci:${folder}/index-back:latest`)
    expect(rootOf('index-back')).toBe(index.manifest.digest)
    for (const child of index.images) {
      const source = `docker://${host}/team/multi@${child.manifest.digest}`
      const raw = await mustSkopeo('inspect', '--raw', '--tls-verify=false', source)
      expect(raw.trimEnd()).toBe(Buffer.from(child.manifest.bytes).toString())
    }
  })

  test('one platform is chosen from it', async () => {
    const source = `docker://${host}/team/multi:1`
    await mustSkopeo(
      ...[
        '--override-arch',
        'arm64',
        '--override-variant',
        'v8',
        'copy',
        plain.from,
        source,
        `oci:${folder}/arm64:latest`,
      ],
    )
    expect(rootOf('arm64')).toBe(index.images[1]?.manifest.digest)
  })

  test('it lists tags', async () => {
    const listed = await mustSkopeo('list-tags', '--tls-verify=false', `docker://${host}/team/app`)
    expect(JSON.parse(listed)).toEqual({ Repository: `${host}/team/app`, Tags: ['1', '2'] })
  })

  test('it deletes by tag: the manifest goes, other repositories keep theirs', async () => {
    await mustSkopeo('delete', '--tls-verify=false', `docker://${host}/team/app:1`)
    const gone = await skopeo('inspect', '--tls-verify=false', `docker://${host}/team/app:1`)
    expect(gone.code).toBe(1)
    expect(gone.stderr).toContain('manifest unknown')
    expect((await skopeo('inspect', '--tls-verify=false', `docker://${host}/elsewhere/app:1`)).code).toBe(0)
  })

  test('over TLS it verifies the certificate against the one it is given', async () => {
    const pair = await makePair(join(folder, 'pair'))
    mkdirSync(join(folder, 'trusted'))
    copyFileSync(pair.certificate, join(folder, 'trusted/ca.crt'))
    const secure = await startBerth({
      config: 'version: 0.1\nauth:\n  anonymous: pull\n',
      env: {
        BERTH_ADMIN_PASSWORD: PASSWORD,
        REGISTRY_HTTP_TLS_CERTIFICATE: pair.certificate,
        REGISTRY_HTTP_TLS_KEY: pair.key,
      },
    })
    try {
      const target = `docker://localhost:${secure.port}/team/app:1`
      const copy = ['copy', '--dest-creds', `admin:${PASSWORD}`]
      const refused = await skopeo(...copy, `oci:${folder}/image:latest`, target)
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain('x509')
      await mustSkopeo(...copy, '--dest-cert-dir', `${folder}/trusted`, `oci:${folder}/image:latest`, target)
      const digest = await mustSkopeo(
        ...['inspect', '--no-creds', '--format', '{{.Digest}}', '--cert-dir', `${folder}/trusted`, target],
      )
      expect(digest.trim()).toBe(image.manifest.digest)
    } finally {
      await secure.dispose()
    }
  })
})

describeWith(['skopeo'], 'artifacts that skopeo can see', () => {
  test('an image with an attached artifact is pushed over HTTP and read by skopeo', async () => {
    const berth = await startBerth({ config: 'version: 0.1\nauth: none\n' })
    try {
      const subject = makeImage({ layers: [2_000], seed: 'subject' })
      const signature = makeArtifact({
        seed: 'signed',
        artifactType: 'application/vnd.example.sig',
        subject: subject.manifest,
      })
      await pushImage(berth.url, 'team/app', subject, { tag: '1' })
      await pushImage(berth.url, 'team/app', signature)
      const source = `docker://localhost:${berth.port}/team/app@${signature.manifest.digest}`
      const raw = await must([program('skopeo'), 'inspect', '--raw', '--tls-verify=false', source])
      expect(JSON.parse(raw).subject.digest).toBe(subject.manifest.digest)
      const referrers = await fetch(`${berth.url}/v2/team/app/referrers/${subject.manifest.digest}`)
      expect(await referrers.json()).toMatchObject({
        manifests: [{ digest: signature.manifest.digest, artifactType: 'application/vnd.example.sig' }],
      })
    } finally {
      await berth.dispose()
    }
  })
})
