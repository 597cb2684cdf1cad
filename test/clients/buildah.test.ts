import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { makeImage, noise, writeLayout } from '../image.ts'
import { describeWith, must, program, type RunOptions, run } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'

const PASSWORD = 'a-password-for-admin'

describeWith(['buildah'], 'buildah against berth serve without a configuration', () => {
  let folder = ''
  let berth: Berth
  let host = ''

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-buildah-'))
    berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
    host = `localhost:${berth.port}`
    writeLayout(join(folder, 'amd64'), makeImage({ layers: [1_000, 900_000], seed: 'amd64' }), 'latest')
    const arm64 = { architecture: 'arm64', os: 'linux' }
    writeLayout(join(folder, 'arm64'), makeImage({ layers: [2_000], seed: 'arm64', platform: arm64 }), 'latest')
  })

  afterAll(async () => {
    await run(command(['rm', '--all']), environment())
    await run(command(['rmi', '--all', '--force']), environment())
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  /** buildah with a storage and credentials of its own. */
  const command = (args: readonly string[]) => [
    program('buildah'),
    ...['--root', join(folder, 'root'), '--runroot', join(folder, 'runroot'), '--storage-driver', 'vfs'],
    ...args,
  ]
  const environment = (): RunOptions => ({
    cwd: folder,
    env: { REGISTRY_AUTH_FILE: join(folder, 'auth.json'), XDG_RUNTIME_DIR: folder },
  })
  const buildah = (args: readonly string[], options: RunOptions = {}) =>
    must(command(args), { ...options, ...environment() })

  test('it logs in', async () => {
    const login = ['login', '--tls-verify=false', '-u', 'admin', '--password-stdin', host]
    expect(await buildah(login, { stdin: PASSWORD })).toBe('Login Succeeded!\n')
  })

  test('what it builds on a pulled image is pushed, and pulled back with the new file', async () => {
    const name = `${host}/team/built:1`
    await buildah(['pull', 'oci:amd64:latest'])
    const [base = ''] = (await buildah(['images', '--quiet', '--no-trunc'])).trim().split('\n')
    const container = (await buildah(['from', '--pull-never', base])).trim()
    writeFileSync(join(folder, 'added'), noise(300_000, 'added'))
    await buildah(['copy', container, join(folder, 'added'), '/added'])
    await buildah(['commit', '--rm', container, name])
    await buildah(['push', '--tls-verify=false', name])

    await buildah(['rmi', '--all', '--force'])
    await buildah(['pull', '--tls-verify=false', name])
    const again = (await buildah(['from', '--pull-never', name])).trim()
    const root = (await buildah(['mount', again])).trim()
    expect(Buffer.compare(await read(root, 'added'), noise(300_000, 'added'))).toBe(0)
    expect(Buffer.compare(await read(root, 'layer-1'), noise(900_000, 'amd64/1'))).toBe(0)
    await buildah(['umount', again])
    await buildah(['rm', again])
  })

  test('a manifest list of two platforms is pushed with its images', async () => {
    await buildah(['manifest', 'create', 'multi'])
    for (const architecture of ['amd64', 'arm64']) {
      await buildah(['manifest', 'add', 'multi', `oci:${architecture}:latest`])
    }
    await buildah(['manifest', 'push', '--all', '--tls-verify=false', 'multi', `docker://${host}/team/multi:1`])
    const pushed = await readManifest(berth.url, 'team/multi', '1')
    const platforms = pushed.manifests.map((entry) => entry.platform?.architecture)
    expect(platforms.sort()).toEqual(['amd64', 'arm64'])
    await buildah(['pull', '--tls-verify=false', '--arch', 'arm64', `${host}/team/multi:1`])
  })
})

/** With a token of admin's, as a client would ask for it. */
async function readManifest(url: string, name: string, tag: string): Promise<{ manifests: Descriptor[] }> {
  const Authorization = `Basic ${btoa(`admin:${PASSWORD}`)}`
  const challenged = await fetch(`${url}/v2/${name}/manifests/${tag}`)
  const challenge = challenged.headers.get('www-authenticate') ?? ''
  const [, realm = '', service = ''] = /realm="([^"]*)",service="([^"]*)"/.exec(challenge) ?? []
  const query = new URLSearchParams({ service, scope: `repository:${name}:pull` })
  const answer = await fetch(`${realm}?${query}`, { headers: { Authorization } })
  const { token } = (await answer.json()) as { token: string }
  const headers = { Authorization: `Bearer ${token}`, Accept: MEDIA_TYPES.ociIndex }
  const manifest = await fetch(`${url}/v2/${name}/manifests/${tag}`, { headers })
  return (await manifest.json()) as { manifests: Descriptor[] }
}

async function read(root: string, name: string): Promise<Uint8Array> {
  return await Bun.file(join(root, name)).bytes()
}
