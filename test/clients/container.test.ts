import { afterAll, beforeAll, expect, test } from 'bun:test'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import project from '../../package.json' with { type: 'json' }
import { DEBIAN_BASE, importDebianBase, writeDebianBase } from '../debian-base.ts'
import { type Docker, type Dockerd, startDockerd } from '../dockerd.ts'
import { describeWith, type Ended, must, program, run, shell } from '../programs.ts'

import { MAKE_PASSWORDS, RUN_HTPASSWD_REGISTRY, RUN_REGISTRY, RUN_TOKEN_SERVER } from './document-containers.ts'
import { MAKE_CERTIFICATE, prepareSite, type Site, USERS } from './first-document.ts'

const HOME = join(import.meta.dir, '../..')
const IMAGE = 'berth-test/berth:latest'
/** Only to end a build that hangs. */
const BUILD_MS = 600_000

interface Status {
  uid: string
  gid: string
  groups: string
  capabilities: string
  noNewPrivs: string
}

const DAC_OVERRIDE = '0000000000000002'
const NONE = '0000000000000000'
const WITHOUT_RIGHTS: Status = { uid: '65532', gid: '65532', groups: '', capabilities: NONE, noNewPrivs: '1' }

describeWith(['docker', 'dockerd', 'docker-compose', 'buildah', 'openssl', 'curl', 'htpasswd'], 'the image', () => {
  let folder = ''
  let site: Site
  let dockerd: Dockerd | undefined
  let docker: Docker

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-container-'))
    site = await prepareSite()
    const options = { cwd: HOME, timeoutMs: BUILD_MS }
    const executable = must([join(HOME, 'bin/run-bun'), 'build/executable.ts', 'linux-x64'], options)
    dockerd = await startDockerd()
    docker = dockerd.client()
    await importDebianBase(docker)
    await executable
    const build = ['build', '--network', 'host', '--build-arg', `BASE=${DEBIAN_BASE}`, '-t', IMAGE, '.']
    await docker.must(build, options)
  }, BUILD_MS)

  afterAll(async () => {
    const left = (await docker?.run(['ps', '--all', '--quiet']))?.stdout.split('\n').filter(Boolean) ?? []
    if (left.length > 0) await docker.run(['rm', '--force', '--volumes', ...left])
    await dockerd?.dispose()
    site?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  /** A command of the documents with this run's folders, ports and image. dockerd has no network but the host's. */
  const sh = (script: string): Promise<Ended> => {
    const adapted = script
      .replaceAll('/home/auth_server', site.folder)
      .replaceAll('/home/', `${site.folder}/`)
      .replaceAll(/\b5000\b/g, `${site.registryPort}`)
      .replaceAll(/\b5001\b/g, `${site.tokenPort}`)
      .replaceAll(/\bregistry:(2|latest)\b|\bcesanta\/docker_auth\b/g, IMAGE)
      .replaceAll(/\bdocker run\b/g, `docker run --network host -e REGISTRY_HTTP_ADDR=:${site.registryPort}`)
      .replaceAll(/ -d\b/g, ' -d --health-interval 1s')
    return shell(adapted, { cwd: folder, env: docker.env })
  }
  const start = async (script: string): Promise<void> => {
    const { code, stderr } = await sh(script)
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('Error') })
  }
  const inspect = async (name: string, format: string): Promise<string> =>
    (await docker.must(['inspect', '--format', format, name])).trim()

  const isHealthy = async (name: string): Promise<void> => {
    for (let attempt = 0; attempt < 600; attempt++) {
      const state = await inspect(name, '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}')
      if (state === 'running healthy') return
      if (state.startsWith('exited')) break
      await Bun.sleep(100)
    }
    const { stdout, stderr } = await docker.run(['logs', name])
    const health = await inspect(name, '{{json .State.Health}}')
    throw new Error(`${name} does not become healthy: ${health}\n${stdout}${stderr}`)
  }
  const logOf = async (name: string): Promise<string> => (await docker.run(['logs', name])).stderr
  const statusOf = async (name: string): Promise<Status> => {
    const text = readFileSync(`/proc/${await inspect(name, '{{.State.Pid}}')}/status`, 'utf8')
    const field = (key: string) => new RegExp(`^${key}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(text)?.[1] ?? 'none'
    return {
      uid: field('Uid').split('\t')[0] ?? '',
      gid: field('Gid').split('\t')[0] ?? '',
      groups: field('Groups'),
      capabilities: field('CapEff'),
      noNewPrivs: field('NoNewPrivs'),
    }
  }
  /** `000` where nobody answers. */
  const statusAt = async (url: string, ...options: string[]): Promise<string> =>
    (await run(['curl', '-sk', '-o', '/dev/null', '-w', '%{http_code}', ...options, url])).stdout.trim()
  const stop = async (name: string): Promise<string> => {
    await docker.must(['stop', '-t', '120', name])
    const code = await inspect(name, '{{.State.ExitCode}}')
    await docker.must(['rm', '--volumes', name])
    return code
  }
  /** Starts the image on this run's ports, and waits until it answers. */
  const serve = async (
    name: string,
    options: readonly string[],
    words: readonly string[] = [],
    url = `http://localhost:${site.registryPort}/readyz`,
  ): Promise<void> => {
    const address = `REGISTRY_HTTP_ADDR=127.0.0.1:${site.registryPort}`
    await docker.must(['run', '-d', '--name', name, '--network', 'host', '-e', address, ...options, IMAGE, ...words])
    for (let attempt = 0; attempt < 900; attempt++) {
      if ((await statusAt(url)) === '200') return
      if ((await inspect(name, '{{.State.Status}}')) === 'exited') break
      await Bun.sleep(50)
    }
    const { stdout, stderr } = await docker.run(['logs', name])
    throw new Error(`${name} does not answer at ${url}:\n${stdout}${stderr}`)
  }

  test('says what it is, and has what both originals declare', async () => {
    const { Config: config } = JSON.parse(await docker.must(['image', 'inspect', IMAGE]))[0]
    expect(config).toMatchObject({
      Entrypoint: ['/entrypoint.sh'],
      Cmd: null,
      ExposedPorts: { '5000/tcp': {}, '5001/tcp': {} },
      Volumes: { '/var/lib/registry': {} },
      Healthcheck: { Test: ['CMD', 'berth', 'healthcheck'] },
      Labels: {
        'org.opencontainers.image.title': 'berth',
        'org.opencontainers.image.licenses': project.license,
        'org.opencontainers.image.version': project.version,
        'org.opencontainers.image.base.name': DEBIAN_BASE,
      },
    })
  })

  test('the first document’s containers start by its own lines, become healthy, and have no rights', async () => {
    expect((await sh(MAKE_CERTIFICATE)).code).toBe(0)
    expect(statSync(join(site.folder, 'ssl/server.key')).mode & 0o777).toBe(0o600)
    mkdirSync(join(site.folder, 'config'))
    writeFileSync(
      join(site.folder, 'config/auth_config.yml'),
      site.authConfig.replaceAll(`${site.folder}/ssl/`, '/ssl/'),
    )
    await start(RUN_TOKEN_SERVER)
    await start(RUN_REGISTRY)
    await isHealthy('docker_auth01')
    await isHealthy('registry01')

    // A key that openssl made is root's alone: what reads it keeps that one capability, and says so.
    expect(await statusOf('docker_auth01')).toEqual({ ...WITHOUT_RIGHTS, capabilities: DAC_OVERRIDE })
    expect(await logOf('docker_auth01')).toContain('may not open /ssl/server.key; it keeps the capability DAC_OVERRIDE')
    expect(await statusOf('registry01')).toEqual(WITHOUT_RIGHTS)
    // docker made the folder, for root.
    const { uid, gid } = statSync(join(site.folder, 'docker_registry/data'))
    expect([uid, gid]).toEqual([65532, 65532])
    expect(await must(['curl', '-sk', `https://localhost:${site.tokenPort}/`])).toBe('<h1>Auth Service</h1>\n')
  })

  test('the image itself is pushed there, pulled, and run from there', async () => {
    const name = `localhost:${site.registryPort}/berth:1`
    const login = ['login', '--username', 'admin', '--password-stdin', `localhost:${site.registryPort}`]
    await docker.must(login, { stdin: USERS.admin.password })
    await docker.must(['tag', IMAGE, name])
    await docker.must(['push', name])
    const id = await inspect(IMAGE, '{{.Id}}')

    // A machine that has no layer of it.
    const other = await startDockerd()
    try {
      const there = other.client()
      await there.must(['login', '--username', 'user01', '--password-stdin', `localhost:${site.registryPort}`], {
        stdin: USERS.user01.password,
      })
      await there.must(['pull', name])
      expect((await there.must(['inspect', '--format', '{{.Id}}', name])).trim()).toBe(id)
      expect(await there.must(['run', '--rm', '--network', 'host', name, 'version'])).toStartWith(
        `berth ${project.version} `,
      )
    } finally {
      await other.dispose()
    }
  })

  test('chores are done inside, by the originals’ commands and by Berth’s', async () => {
    const inside = (...words: string[]) => docker.run(['exec', 'registry01', ...words])
    expect(await inside('registry', 'garbage-collect', '/etc/docker/registry/config.yml')).toEqual({
      ...{ code: 0, stderr: '', stdout: '\n0 blobs and 0 manifests eligible for deletion\n' },
    })
    expect((await inside('registry', 'garbage-collect', '--dry-run', '/etc/distribution/config.yml')).code).toBe(0)
    expect((await inside('/bin/registry', '--version')).stdout).toBe(`registry berth v${project.version}\n`)
    expect(await inside('berth', 'tag', 'history', 'berth')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1'),
    })
    expect(await inside('berth', 'frobnicate')).toMatchObject({ code: 2, stdout: '' })
  })

  test('they end with 0, and start again without rights once the key is theirs', async () => {
    for (const name of ['registry01', 'docker_auth01']) {
      await docker.must(['stop', '-t', '120', name])
      expect(await inspect(name, '{{.State.ExitCode}}')).toBe('0')
    }
    chownSync(join(site.folder, 'ssl/server.key'), 65532, 65532)
    await docker.must(['start', 'docker_auth01', 'registry01'])
    await isHealthy('docker_auth01')
    await isHealthy('registry01')
    expect(await statusOf('docker_auth01')).toEqual({ ...WITHOUT_RIGHTS })
    // What was pushed is there still.
    await docker.must(['pull', `localhost:${site.registryPort}/berth:1`])
    await docker.must(['logout', `localhost:${site.registryPort}`])
    for (const name of ['registry01', 'docker_auth01']) expect(await stop(name)).toBe('0')
  })

  test('docker_auth’s flags, its program by its path, and its file without an argument are taken', async () => {
    const ways: [options: string[], words: string[]][] = [
      [[], ['--v=2', '--alsologtostderr', '/config/auth_config.yml']],
      [
        ['--entrypoint', '/docker_auth/auth_server'],
        ['-logtostderr', '-v', '1', '/config/auth_config.yml'],
      ],
      [[], []],
    ]
    for (const [options, words] of ways) {
      const mounts = ['-v', `${site.folder}/config:/config:ro`, '-v', `${site.folder}/ssl:/ssl`]
      await serve('auth', [...options, ...mounts], words, `https://localhost:${site.tokenPort}/`)
      expect(await statusOf('auth')).toEqual(WITHOUT_RIGHTS)
      expect(await stop('auth')).toBe('0')
    }
  })

  test('the second document’s lines make the passwords and start a registry with TLS', async () => {
    const certificate = MAKE_CERTIFICATE.replaceAll('/home/auth_server/ssl', 'certs')
    expect((await sh(certificate.replace('server.key', 'domain.key').replace('server.pem', 'domain.crt'))).code).toBe(0)
    expect((await sh(MAKE_PASSWORDS)).code).toBe(0)
    await must([program('htpasswd'), '-vb', join(folder, 'auth/htpasswd'), 'testuser', 'testpassword'])
    await start(RUN_HTPASSWD_REGISTRY)
    await isHealthy('registry')
    const url = `https://localhost:${site.registryPort}/v2/`
    expect(await statusAt(url)).toBe('401')
    expect(await statusAt(url, '-u', 'testuser:testpassword')).toBe('200')
    expect(await statusAt(url, '-u', 'testuser:wrong')).toBe('401')
    expect(await stop('registry')).toBe('0')
  })

  test('another user runs it, with no capabilities and on a root that cannot be written; strangers are kept out', async () => {
    const confined = ['--user', '1000', '--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']
    await serve('other', [...confined, '--health-interval', '1s'])
    await isHealthy('other')
    expect(await statusOf('other')).toEqual({ ...WITHOUT_RIGHTS, uid: '1000', gid: '0', groups: '0' })
    expect(await statusAt(`http://localhost:${site.registryPort}/v2/`)).toBe('401')
    expect(await docker.must(['exec', 'other', 'berth', 'user', 'list'])).toContain('admin')
    expect(await stop('other')).toBe('0')
  })

  test('a folder of somebody’s is served as that user, and what root wrote there becomes that user’s', async () => {
    const data = join(folder, 'data-of-1234')
    mkdirSync(join(data, 'docker'), { recursive: true })
    chownSync(data, 1234, 4321)
    await serve('owned', ['-v', `${data}:/var/lib/registry`, '--read-only'])
    expect(await statusOf('owned')).toEqual({ ...WITHOUT_RIGHTS, uid: '1234', gid: '4321' })
    expect(statSync(join(data, 'docker')).uid).toBe(1234)
    expect(await stop('owned')).toBe('0')
  })

  test('the three capabilities that becoming another user takes are enough, at each start', async () => {
    const data = join(folder, 'data-of-root')
    const poor = ['SETUID', 'SETGID', 'CHOWN'].flatMap((name) => ['--cap-add', name])
    for (const _ of ['first', 'second']) {
      await serve('poor', ['--cap-drop', 'ALL', ...poor, '-v', `${data}:/var/lib/registry`])
      expect(await statusOf('poor')).toEqual({ ...WITHOUT_RIGHTS })
      expect(await stop('poor')).toBe('0')
    }
    expect(statSync(data).uid).toBe(65532)
  })

  test('a configuration that is mounted at either version’s place counts, however it is named', async () => {
    const config = join(folder, 'config.yml')
    const text = readFileSync(join(HOME, 'deploy/image/config.yml'), 'utf8').replace(/^auth:\n.*\n/m, 'auth: none\n')
    writeFileSync(config, text)
    const [two, three] = ['/etc/docker/registry/config.yml', '/etc/distribution/config.yml']
    const ways: [place: string, words: string[]][] = [
      [two, []],
      [three, []],
      [three, [three]],
      [two, ['serve', three]],
      [two, ['registry', 'serve', two]],
    ]
    for (const [place, words] of ways) {
      await serve('mounted', ['-v', `${config}:${place}:ro`], words)
      expect([place, words, await statusAt(`http://localhost:${site.registryPort}/v2/`)]).toEqual([place, words, '200'])
      expect(await stop('mounted')).toBe('0')
    }
  })

  test('the compose file starts it over TLS, without a right, and keeps its data over a new container', async () => {
    const file = join(folder, 'compose.yaml')
    const text = readFileSync(join(HOME, 'deploy/compose/compose.yaml'), 'utf8')
    // dockerd has no network but the host's, which has no ports to publish.
    const published = /^ {4}ports:\n {6}- .*\n/m
    expect(text).toMatch(published)
    writeFileSync(
      file,
      text
        .replace(published, `    network_mode: host\n    environment: [REGISTRY_HTTP_ADDR=:${site.registryPort}]\n`)
        .replace('    user:', '    healthcheck: {interval: 1s}\n    user:'),
    )
    const env = { ...docker.env, BERTH_IMAGE: IMAGE, BERTH_NAME: 'registry.example' }
    const compose = (...words: string[]) =>
      must([program('docker-compose'), '--project-name', 'berth', '--file', file, ...words], { env, cwd: folder })
    const nameOf = async () => (await compose('ps', '--quiet')).trim()
    await compose('up', '-d')
    try {
      await isHealthy(await nameOf())
      expect(await statusOf(await nameOf())).toEqual({ ...WITHOUT_RIGHTS, groups: '65532' })
      const url = `https://localhost:${site.registryPort}`
      const certificate = await must(['curl', '-skv', '-o', '/dev/null', url, '--stderr', '-'])
      expect(certificate).toContain('SSL connection')
      const trusted = join(folder, 'ca.crt')
      writeFileSync(trusted, await compose('exec', '-T', 'registry', 'berth', 'cert', 'ca'))
      const there = ['--cacert', trusted, '--resolve', `registry.example:${site.registryPort}:127.0.0.1`]
      expect(await must(['curl', '-s', ...there, `https://registry.example:${site.registryPort}/readyz`])).not.toBe('')
      await compose('exec', '-T', '-e', 'BERTH_PASSWORD=a-password', 'registry', 'berth', 'user', 'add', 'kim')
      await compose('up', '-d', '--force-recreate')
      await isHealthy(await nameOf())
      expect(await compose('exec', '-T', 'registry', 'berth', 'user', 'list')).toContain('kim')
    } finally {
      await compose('down', '--volumes')
    }
  })

  test('what cannot be served ends with its reason and exit code', async () => {
    const broken = join(folder, 'broken.yml')
    writeFileSync(broken, 'version: 0.2\nstorage: {filesystem: {rootdirectory: /x}}\n')
    chmodSync(broken, 0o600)
    const once = (...words: string[]) =>
      docker.run(['run', '--rm', '--network', 'host', '-v', `${broken}:/b.yml:ro`, IMAGE, ...words])
    expect(await once('/b.yml')).toMatchObject({ code: 1, stderr: expect.stringContaining('unsupported version') })
    expect(await once('/nowhere.yml')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no such file'),
    })
    expect(await once('--v=2')).toMatchObject({ code: 2, stderr: expect.stringContaining('Config file not specified') })
    expect(await once('serve', '--port', '5000')).toMatchObject({ code: 2, stderr: expect.stringContaining('--port') })
    expect(await once('sh', '-c', 'exit 7')).toMatchObject({ code: 7 })
    expect(await once('/bin/cat', '/etc/docker/registry/config.yml')).toMatchObject({
      ...{ code: 0, stdout: readFileSync(join(HOME, 'deploy/image/config.yml'), 'utf8') },
    })
  })

  test('buildah builds it from the same file, with its health check, and it runs there', async () => {
    const storage = ['--root', join(folder, 'buildah'), '--runroot', join(folder, 'buildah-run')]
    const buildah = (...words: string[]) =>
      must([program('buildah'), ...storage, '--storage-driver', 'vfs', ...words], {
        ...{ cwd: HOME, env: { XDG_RUNTIME_DIR: folder } },
      })
    const scratch = (await buildah('from', 'scratch')).trim()
    await writeDebianBase(join(folder, 'base.tar'))
    await buildah('add', scratch, join(folder, 'base.tar'), '/')
    await buildah('config', '--env', 'PATH=/usr/local/bin:/usr/bin:/bin', scratch)
    await buildah('commit', '--rm', scratch, 'localhost/base')
    try {
      const isolated = ['--isolation', 'chroot', '--network', 'host', '--pull-never']
      await buildah('bud', '--format', 'docker', ...isolated, '--build-arg', 'BASE=localhost/base', '-t', 'berth', '.')
      const { Docker: built } = JSON.parse(await buildah('inspect', '--type', 'image', 'localhost/berth'))
      expect(built.config.Healthcheck.Test).toEqual(['CMD', 'berth', 'healthcheck'])
      const container = (await buildah('from', '--pull-never', 'localhost/berth')).trim()
      const said = await buildah('run', '--isolation', 'chroot', container, '--', '/entrypoint.sh', 'version')
      expect(said).toStartWith(`berth ${project.version} `)
    } finally {
      await buildah('rm', '--all')
      await buildah('rmi', '--all', '--force')
    }
  })
})
