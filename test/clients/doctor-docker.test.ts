import { afterAll, beforeAll, expect, test } from 'bun:test'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makePair } from '../certificates.ts'
import { type Docker, type Dockerd, startDockerd } from '../dockerd.ts'
import { describeWith } from '../programs.ts'
import { type Clinic, expectFound, expectOnly, openClinic } from './clinic.ts'
import { USERS } from './first-document.ts'

/** Where the daemon itself looks, whatever `--root` says. */
const REAL = '/etc/docker/certs.d'

describeWith(['dockerd', 'docker-registry', 'openssl'], 'what berth doctor says of docker, docker says, too', () => {
  let clinic: Clinic
  let dockerd: Dockerd
  let docker: Docker
  const folders: string[] = []

  beforeAll(async () => {
    clinic = await openClinic()
    dockerd = await startDockerd()
    docker = dockerd.client()
  })
  afterAll(async () => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    await dockerd?.dispose()
    await clinic?.dispose()
  })

  const login = (host: string) =>
    docker.run(['login', '--username', 'admin', '--password-stdin', host], { stdin: USERS.admin.password })
  /** Carries out a remedy for the client, below `--root`, and gives the daemon the same files. */
  const follow = async (registry: string, command: string) => {
    expect(Bun.spawnSync(['sh', '-c', command]).exitCode).toBe(0)
    const folder = join(REAL, registry)
    folders.push(folder)
    cpSync(join(clinic.root, 'etc/docker/certs.d', registry), folder, { recursive: true })
  }

  test('an untrusted authority, until the command that the doctor gives was carried out: the folder of the registry counts for the token server, too', async () => {
    const tls = clinic.authority.issue('server', { names: ['0.0.0.0'], until: 100 })
    const { registry } = await clinic.start({ host: '0.0.0.0', tls })
    expect(await login(registry)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('certificate signed by unknown authority'),
    })
    const examined = await clinic.asAdmin([registry, '--ca-file', clinic.authority.file])
    const [found] = examined.findings.filter(({ id }) => id === 'ca-untrusted')
    await follow(registry, found?.fix[0] ?? 'false')
    expectOnly(await clinic.asAdmin([registry, '--ca-file', clinic.authority.file]))
    expect(await login(registry)).toMatchObject({ code: 0 })
  })

  test('a certificate without addresses, that is trusted', async () => {
    const nameless = await makePair(join(clinic.folder, 'nameless'), { names: [] })
    const plan = await clinic.plan({ host: '0.0.0.0', tls: nameless, realm: 'http://localhost:1/auth' })
    await clinic.startRegistry(plan)
    const [found] = (await clinic.asAdmin([plan.registry])).findings.filter(({ id }) => id === 'ca-untrusted')
    await follow(plan.registry, found?.fix[0]?.replace(/ {2}\(compare .*/, '') ?? 'false')
    const examined = await clinic.asAdmin([plan.registry])
    expectFound(examined, { severity: 'fault', id: 'certificate-names', says: /doesn't contain any IP SANs/ })
    expect((await login(plan.registry)).stderr).toContain(
      "x509: cannot validate certificate for 0.0.0.0 because it doesn't contain any IP SANs",
    )
  })

  test('a registry without TLS elsewhere', async () => {
    const { registry } = await clinic.start({ host: '0.0.0.0' })
    expectFound(await clinic.asAdmin([registry]), {
      severity: 'fault',
      id: 'insecure-registry-needed',
      says: /server gave HTTP response to HTTPS client/,
    })
    expect((await login(registry)).stderr).toContain('http: server gave HTTP response to HTTPS client')
  })
})
