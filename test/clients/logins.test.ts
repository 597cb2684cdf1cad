import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Docker, type Dockerd, NO_HELPER, startDockerd } from '../dockerd.ts'
import { makeImage, writeLayout } from '../image.ts'
import { describeWith, type Ended, must, program, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { podmanEnvironment } from './podman-environment.ts'

const PASSWORD = 'a-password-for-admin'
const image = makeImage({ layers: [1_000, 20_000], seed: 'logins' })

/** A user's home, in which all programs look for what another one stored. */
function homeOf(folder: string, name: string) {
  const home = join(folder, name)
  mkdirSync(join(home, 'run'), { recursive: true, mode: 0o700 })
  const config = join(home, '.docker', 'config.json')
  // Without the folder of a session, podman and its kin keep their logins in the home.
  const env = { HOME: home, DOCKER_CONFIG: join(home, '.docker'), XDG_RUNTIME_DIR: join(home, 'run') }
  const berth = (...args: string[]) => run([BERTH, ...args], { env })
  const login = (host: string) =>
    run([BERTH, 'login', host, '-u', 'admin', '--password-stdin'], { env, stdin: PASSWORD })
  const stored = () => JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>
  return { home, env, config, berth, login, stored }
}

async function push(folder: string, host: string): Promise<void> {
  writeLayout(join(folder, 'image'), image, 'latest')
  const to = ['--dest-tls-verify=false', '--dest-creds', `admin:${PASSWORD}`]
  await must([
    program('skopeo'),
    '--insecure-policy',
    'copy',
    ...to,
    `oci:${folder}/image:latest`,
    `docker://${host}/team/app:v1`,
  ])
}

describeWith(['docker', 'dockerd', 'skopeo', 'podman'], 'a login of one program is one of the others', () => {
  let folder = ''
  let berth: Berth
  let dockerd: Dockerd | undefined
  let docker: Docker
  let host = ''

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-logins-'))
    berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
    host = `127.0.0.1:${berth.port}`
    dockerd = await startDockerd()
    docker = dockerd.client()
    await push(folder, host)
  })
  afterAll(async () => {
    await berth?.dispose()
    await dockerd?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const skopeo = (env: Record<string, string>): Promise<Ended> => {
    const look = ['inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${host}/team/app:v1`]
    return run([program('skopeo'), ...look], { env })
  }
  const listed = { code: 0, stdout: 'v1\n', stderr: '' }

  test('after berth login, docker pulls and skopeo looks', async () => {
    const { env, login, berth: verb } = homeOf(folder, 'berth-first')
    expect(await docker.run(['pull', `${host}/team/app:v1`], { env })).toMatchObject({ code: 1 })
    expect((await skopeo(env)).code).not.toBe(0)

    expect(await login(host)).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
    expect(await docker.must(['pull', `${host}/team/app:v1`], { env })).toContain(`Digest: ${image.manifest.digest}`)
    expect(await skopeo(env)).toMatchObject({ code: 0, stdout: `${image.manifest.digest}\n` })

    expect(await verb('logout', host)).toMatchObject({ code: 0 })
    expect((await skopeo(env)).code).not.toBe(0)
  })

  test('after docker login, berth ls lists; after docker logout it does not', async () => {
    const { env, berth: verb, home, config } = homeOf(folder, 'docker-first')
    mkdirSync(join(home, '.docker'))
    writeFileSync(config, NO_HELPER)
    expect((await verb('ls', `${host}/team/app`)).code).toBe(3)
    const login = ['login', '--username', 'admin', '--password-stdin', host]
    expect(await docker.run(login, { env, stdin: PASSWORD })).toMatchObject({ code: 0 })
    expect(await verb('ls', `${host}/team/app`)).toEqual(listed)
    expect(await verb('digest', `${host}/team/app:v1`)).toMatchObject({ stdout: `${image.manifest.digest}\n` })
    await docker.must(['logout', host], { env })
    expect((await verb('ls', `${host}/team/app`)).code).toBe(3)
  })

  test('after podman login, berth ls lists', async () => {
    const { env: own, home, berth: verb } = homeOf(folder, 'podman-first')
    const env = { ...own, ...podmanEnvironment(home) }
    const login = ['login', '--tls-verify=false', '-u', 'admin', '--password-stdin', host]
    expect(await run([program('podman'), ...login], { env, stdin: PASSWORD })).toMatchObject({ code: 0 })
    expect(await verb('ls', `${host}/team/app`)).toEqual(listed)
  })
})

describeWith(['docker-credential-pass', 'pass', 'gpg', 'skopeo'], 'a credential helper: docker-credential-pass', () => {
  let folder = ''
  let berth: Berth
  let host = ''
  let user: ReturnType<typeof homeOf>
  let env: Record<string, string> = {}

  beforeAll(async () => {
    // Short, because the agent's socket is a path below it.
    folder = mkdtempSync(join(tmpdir(), 'bh-'))
    berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
    host = `127.0.0.1:${berth.port}`
    await push(folder, host)
    user = homeOf(folder, 'home')
    env = { ...user.env, GNUPGHOME: join(folder, 'g'), PASSWORD_STORE_DIR: join(folder, 'store') }
    mkdirSync(join(folder, 'g'), { mode: 0o700 })
    const key = ['--batch', '--passphrase', '', '--quick-generate-key', 'berth-test', 'default', 'default', 'never']
    await must([program('gpg'), ...key], { env })
    await must([program('pass'), 'init', 'berth-test'], { env })
    mkdirSync(join(user.home, '.docker'))
    writeFileSync(user.config, JSON.stringify({ credsStore: 'pass' }))
  })
  afterAll(async () => {
    await run(['gpgconf', '--kill', 'gpg-agent'], { env })
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const kept = async () => JSON.parse(await must([program('docker-credential-pass'), 'list'], { env })) as object
  const verb = (...args: string[]) => run([BERTH, ...args], { env })

  test('keeps what berth login gets, and config.json has nothing of it', async () => {
    const command = [BERTH, 'login', host, '-u', 'admin', '--password-stdin']
    expect(await run(command, { env, stdin: Buffer.from('caf\xe9', 'latin1') })).toEqual({
      ...{ code: 1, stdout: '' },
      stderr: 'berth: standard input is no text in UTF-8; nothing is changed\n',
    })
    expect(await run(command, { env, stdin: PASSWORD })).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
    expect(user.stored()).toEqual({ credsStore: 'pass', auths: { [host]: {} } })
    expect(Object.keys(await kept())).toEqual([host])
    const secret = JSON.parse(await must([program('docker-credential-pass'), 'get'], { env, stdin: host }))
    expect(secret).toMatchObject({ ServerURL: host, Username: '<token>', Secret: expect.stringMatching(/^berth_r/) })
  })

  test('is asked by berth ls, and by skopeo, which knows nothing of who stored it', async () => {
    expect(await verb('ls', `${host}/team/app`)).toEqual({ code: 0, stdout: 'v1\n', stderr: '' })
    expect(await verb('whoami', host)).toMatchObject({ code: 0, stderr: '' })
    // It knows helpers of a host alone.
    const authFile = join(folder, 'auth.json')
    writeFileSync(authFile, JSON.stringify({ credHelpers: { [host]: 'pass' } }))
    const look = ['inspect', '--tls-verify=false', '--authfile', authFile, '--format', '{{.Digest}}']
    const looked = await run([program('skopeo'), ...look, `docker://${host}/team/app:v1`], { env })
    expect(looked).toMatchObject({ stdout: `${image.manifest.digest}\n` })
  })

  test('forgets it at berth logout', async () => {
    expect(await verb('logout', host)).toMatchObject({ code: 0 })
    expect(await kept()).toEqual({})
    expect((await verb('ls', `${host}/team/app`)).code).toBe(3)
  })

  test('that cannot answer is named, and nothing is stored elsewhere', async () => {
    const broken = { ...env, PASSWORD_STORE_DIR: join(folder, 'no-store') }
    const command = [BERTH, 'login', host, '-u', 'admin', '--password-stdin']
    const { code, stdout, stderr } = await run(command, { env: broken, stdin: PASSWORD })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('docker-credential-pass')
    expect(stderr).not.toContain(PASSWORD)
    expect(JSON.stringify(user.stored())).not.toMatch(/auth"|berth_/)
  })
})
