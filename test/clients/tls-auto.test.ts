import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { steadily } from '../api/live-server.ts'
import { type Docker, type Dockerd, startDockerd } from '../dockerd.ts'
import { freePort } from '../free-port.ts'
import { buildImage, expectedSums, importBase, makeImage, writeLayout } from '../image.ts'
import { describeWith, must, program, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { podmanEnvironment } from './podman-environment.ts'

const PASSWORD = 'a-password-for-admin'

/** Of this machine, and not of the loopback interface: docker takes any certificate from 127.0.0.0/8. */
const ADDRESS = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ address, internal }) => isIPv4(address) && !internal)?.address

let folder: string
let data: string
let port: number
let berth: Berth
let authority: string

const cert = (...args: string[]) => must([BERTH, 'cert', ...args, '--data', data])
const start = () =>
  startBerth({
    dataDirectory: data,
    args: ['--tls', 'auto', '--tls-name', 'registry.example', '--addr', `:${port}`],
    env: { BERTH_ADMIN_PASSWORD: PASSWORD, REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' },
  })

describeWith(['curl', 'openssl'], 'berth serve --tls auto', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-tls-auto-'))
    data = join(folder, 'data')
    port = await freePort()
    berth = await start()
    authority = join(data, 'berth-tls/ca.crt')
  }, 180_000)
  afterAll(async () => {
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Status that curl gets by a name which is this machine; what it says where it does not connect. */
  const ask = async (host: string, ...more: string[]) => {
    const { code, stdout, stderr } = await run([
      ...['curl', '--silent', '--show-error', '--output', '/dev/null', '--write-out', '%{http_code}'],
      ...['--connect-to', `${host}:${port}:127.0.0.1:${port}`, ...more, `https://${host}:${port}/v2/`],
    ])
    return code === 0 ? stdout : stderr
  }

  test('every name and address of the machine is answered with a certificate for it', async () => {
    const names = ['localhost', '127.0.0.1', '[::1]', 'registry.example', ...(ADDRESS === undefined ? [] : [ADDRESS])]
    for (const name of names) expect([name, await ask(name, '--cacert', authority)]).toEqual([name, '401'])
    expect(await ask('elsewhere.example', '--cacert', authority)).toContain('no alternative certificate subject name')
    expect(await ask('localhost')).toContain('unable to get local issuer certificate')
  })

  test('openssl verifies it, by name and by address', async () => {
    const server = join(data, 'berth-tls/server.pem')
    for (const check of [
      ['-verify_hostname', 'registry.example'],
      ['-verify_ip', ADDRESS ?? '127.0.0.1'],
    ]) {
      const verify = ['openssl', 'verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', authority]
      expect(await must([...verify, ...check, server])).toBe(`${server}: OK\n`)
    }
  })

  test('the authority is handed out, and its fingerprint is what the start and berth cert show', async () => {
    const url = `https://localhost:${port}/berth-ca.pem`
    const handedOut = await must(['curl', '--silent', '--show-error', '--fail', '--insecure', url])
    expect(handedOut).toBe(readFileSync(authority, 'utf8'))
    expect(await cert('ca')).toBe(handedOut)
    const shown = await must(['openssl', 'x509', '-in', authority, '-noout', '-fingerprint', '-sha256'])
    const fingerprint = shown.trim().split('=')[1] ?? ''
    expect(berth.log()).toContain(`TLS by an authority of its own, with the SHA-256 fingerprint\n  ${fingerprint}\n`)
    expect(await cert('show')).toContain(`  SHA-256  ${fingerprint}\n`)

    const trust = ['trust', '--from', `https://localhost:${port}`, '--install', '--for', 'podman']
    const into = (name: string) => ['--root', join(folder, name)]
    expect((await run([BERTH, 'cert', ...trust, ...into('a'), '--fingerprint', fingerprint])).code).toBe(0)
    const path = `etc/containers/certs.d/localhost:${port}/ca.crt`
    expect(readFileSync(join(folder, 'a', path), 'utf8')).toBe(handedOut)
    const wrong = fingerprint.replace(/^../, (byte) => (byte === '00' ? '01' : '00'))
    const refused = await run([BERTH, 'cert', ...trust, ...into('b'), '--fingerprint', wrong])
    expect([refused.code, refused.stderr.includes('somebody may be in between; nothing was done')]).toEqual([1, true])
    const server = await must([
      'openssl',
      'x509',
      '-in',
      join(data, 'berth-tls/server.pem'),
      '-noout',
      '-fingerprint',
      '-sha256',
    ])
    const mistaken = await run([
      BERTH,
      'cert',
      ...trust,
      ...into('b'),
      '--fingerprint',
      server.trim().split('=')[1] ?? '',
    ])
    expect([mistaken.code, mistaken.stderr.includes("is the fingerprint of the server's own certificate")]).toEqual([
      1,
      true,
    ])
    expect(await Bun.file(join(folder, 'b', path)).exists()).toBe(false)
  })

  test('a renewal loses no connection, and counts at once', async () => {
    const serial = async () =>
      await must([
        'bash',
        '-c',
        `openssl s_client -connect localhost:${port} </dev/null 2>/dev/null | openssl x509 -noout -serial`,
      ])
    const before = await serial()
    const steady = steadily(
      (keepalive) =>
        fetch(`https://localhost:${port}/v2/`, { keepalive, tls: { ca: readFileSync(authority, 'utf8') } }),
      401,
    )
    expect((await run([BERTH, 'cert', 'renew', '--data', data])).stderr).toBe('The server uses a new certificate.\n')
    expect(await serial()).not.toBe(before)
    expect((await steady.end()).failures).toEqual([])
  })

  test('a new start shows the same certificate; a new authority needs a stopped server', async () => {
    const names = await cert('show')
    const renew = () => run([BERTH, 'cert', 'renew', '--authority', '--data', data])
    expect(await renew()).toMatchObject({
      code: 1,
      stderr: `berth: the data directory ${data} is in use by a server: stop it first\n`,
    })
    expect(await berth.stop()).toBe(0)
    await berth.dispose()
    berth = await start()
    expect(await cert('show')).toBe(names)
    expect(await berth.stop()).toBe(0)
    await berth.dispose()
    const old = readFileSync(authority)
    expect(await renew()).toMatchObject({ code: 0, stderr: 'There is a new certificate for the next start.\n' })
    berth = await start()
    expect(await ask('registry.example', '--cacert', authority)).toBe('401')
    await Bun.write(join(folder, 'old.crt'), old)
    expect(await ask('registry.example', '--cacert', join(folder, 'old.crt'))).toContain('certificate')
  }, 180_000)

  describeWith(['skopeo', 'podman'], 'skopeo and podman with the files of berth cert trust', () => {
    test('push and pull by address, which fails without them', async () => {
      const host = `${ADDRESS ?? '127.0.0.1'}:${port}`
      await run([BERTH, 'cert', 'trust', host, '--install', '--for', 'podman', '--root', folder, '--data', data])
      const trusted = join(folder, 'etc/containers/certs.d', host)
      const image = makeImage({ layers: [1000, 20_000], seed: 'tls' })
      writeLayout(join(folder, 'image'), image, 'latest')
      const env = { REGISTRY_AUTH_FILE: join(folder, 'auth.json') }
      const skopeo = (...args: string[]) => run([program('skopeo'), ...args], { env, stdin: PASSWORD })
      const login = (...more: string[]) => skopeo('login', ...more, '-u', 'admin', '--password-stdin', host)
      expect((await login()).stderr).toContain('certificate signed by unknown authority')
      expect(await login('--cert-dir', trusted)).toMatchObject({ code: 0 })
      const copied = await skopeo(
        'copy',
        '--dest-cert-dir',
        trusted,
        `oci:${folder}/image:latest`,
        `docker://${host}/a:1`,
      )
      expect(copied).toMatchObject({ code: 0 })
      const podman = (...args: string[]) =>
        run(
          [
            program('podman'),
            ...['--root', join(folder, 'p'), '--runroot', join(folder, 'pr'), '--tmpdir', join(folder, 'pt')],
            ...['--storage-driver', 'vfs', '--log-level', 'error', ...args],
          ],
          { env: { ...env, ...podmanEnvironment(folder), XDG_RUNTIME_DIR: folder } },
        )
      expect((await podman('pull', `${host}/a:1`)).stderr).toContain('certificate signed by unknown authority')
      expect(await podman('pull', '--cert-dir', trusted, `${host}/a:1`)).toMatchObject({ code: 0 })
      await podman('rmi', '--all', '--force')
    }, 180_000)
  })

  describeWith(
    ['docker', 'dockerd', 'busybox'],
    'docker with the files of berth cert trust, and no insecure-registries',
    () => {
      let dockerd: Dockerd
      let docker: Docker
      let host: string
      beforeAll(async () => {
        if (ADDRESS === undefined) throw new Error('this machine has no address but those of the loopback interface')
        host = `${ADDRESS}:${port}`
        dockerd = await startDockerd()
        docker = dockerd.client()
      }, 180_000)
      afterAll(async () => {
        await dockerd?.dispose()
        // The place is dockerd's, and the name is of this test alone.
        rmSync(`/etc/docker/certs.d/${host}`, { recursive: true, force: true })
      })

      test('it logs in, pushes and pulls by the address, which fails without them', async () => {
        const login = () => docker.run(['login', '-u', 'admin', '--password-stdin', host], { stdin: PASSWORD })
        const refused = await login()
        expect([refused.code, /certificate signed by unknown authority/.test(refused.stderr)]).toEqual([1, true])
        const trust = ['trust', host, '--install', '--for', 'docker']
        expect((await run([BERTH, 'cert', ...trust, '--data', data])).stderr).toBe(
          `wrote /etc/docker/certs.d/${host}/ca.crt\n  dockerd reads them at the next request; no restart is needed\n`,
        )
        expect(await login()).toMatchObject({ code: 0 })
        const name = `${host}/team/app:1`
        await importBase(docker)
        await buildImage(docker, name, [30_000], 'tls')
        await docker.must(['push', name])
        await docker.must(['rmi', name])
        await docker.must(['pull', name])
        expect(await docker.must(['run', '--rm', '--network', 'host', name])).toBe(expectedSums([30_000], 'tls'))
      }, 180_000)
    },
  )
})
