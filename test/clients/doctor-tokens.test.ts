import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createIssuer, type Issuer, SERVICE, type TokenParts, tokenOf } from '../api/issuer.ts'
import { makePair } from '../certificates.ts'
import { describeWith, must, program } from '../programs.ts'
import { BERTH, startBerth } from '../start-berth.ts'
import { ADMIN, type Clinic, expectFound, expectOnly, openClinic } from './clinic.ts'
import { USERS } from './first-document.ts'
import { selfSigned } from './token-certificates.ts'

/** What registries say in their logs and challenges, which a client hardly sees. */
const UNTRUSTED = /token signed by untrusted key with ID/

describeWith(['docker-registry', 'openssl'], 'berth doctor at a registry and its token server finds', () => {
  let clinic: Clinic
  let issuer: Issuer

  beforeAll(async () => {
    clinic = await openClinic()
    issuer = await createIssuer(join(clinic.folder, 'issuer'))
    clinic.write('issuer.pem', issuer.pem)
  })
  afterEach(() => clinic.clear())
  afterAll(() => clinic.dispose())

  /** A token server of somebody else's, which makes its tokens so when they are asked for; its clock is `ahead` by so many seconds. */
  function serveTokens(parts: () => TokenParts, ahead = 0): string {
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: ({ url }) => {
        const access = new URL(url).searchParams.getAll('scope').map((scope) => {
          const [type = '', name = '', actions = ''] = scope.split(':')
          return { type, name, actions: actions.split(',') }
        })
        const date = new Date(Date.now() + ahead * 1000).toUTCString()
        return Response.json({ token: tokenOf(issuer, access, parts()) }, { headers: { Date: date } })
      },
    })
    clinic.own({ dispose: async () => await server.stop(true) })
    return `http://localhost:${server.port}/auth`
  }
  const trustingIssuer = { issuer: 'Acme auth server', rootcertbundle: '' }
  const startWith = async (parts: () => TokenParts, ahead = 0) => {
    const token = { ...trustingIssuer, rootcertbundle: join(clinic.folder, 'issuer.pem') }
    const plan = await clinic.plan({ realm: serveTokens(parts, ahead), token })
    const { log } = await clinic.startRegistry(plan)
    return { ...plan, log }
  }

  test('another issuer, with both lines, and without the files what may be', async () => {
    const site = await clinic.start({ token: { issuer: 'Auth Servce' } })
    const examined = await clinic.asAdmin([site.registry, '--config', site.configFile, '--auth-config', site.authFile])
    expectOnly(examined, 'issuer-mismatch')
    const says =
      /takes tokens of the issuer "Auth Servce", and the token server calls itself "Auth Service" \(\S+auth_config\.yml:4\)/
    const fix = expectFound(examined, {
      severity: 'fault',
      id: 'issuer-mismatch',
      says,
      about: `${site.configFile}:11`,
    })
    expect(fix).toEqual([
      `${site.configFile}:11: issuer: "Auth Service"`,
      `or ${site.authFile}:4: issuer: "Auth Servce"`,
    ])
    expect(site.log()).toContain('token from untrusted issuer: \\"Auth Service\\"')

    const registryAlone = await clinic.asAdmin([site.registry, '--config', site.configFile])
    expectFound(registryAlone, {
      severity: 'fault',
      id: 'issuer-mismatch',
      says: /takes tokens of the issuer "Auth Servce"/,
    })
    const nothing = await clinic.asAdmin([site.registry])
    expectOnly(nothing, 'token-refused')
    expectFound(nothing, {
      severity: 'fault',
      id: 'token-refused',
      says: /answers 401 \(invalid_token\) .* the issuer "Auth Service"/,
    })
  })

  test('tokens that are made out to another service', async () => {
    const site = await startWith(() => ({ claims: { aud: 'registry.example' } }))
    const examined = await clinic.doctor([site.registry, '--config', site.configFile])
    const says = /calls itself "Docker registry", and the token server makes tokens out to "registry\.example"/
    const fix = expectFound(examined, { severity: 'fault', id: 'audience-mismatch', says })
    expect(fix[0]).toBe(`${site.configFile}:10: service: registry.example`)
    expect(site.log()).toContain('token intended for another audience')
  })

  test('rules for another service', async () => {
    const acl = '  - match: {account: admin, service: registry}\n    actions: ["*"]\n'
    const site = await clinic.start({ acl })
    const files = ['--config', site.configFile, '--auth-config', site.authFile]
    const examined = await clinic.asAdmin([`${site.registry}/team/app`, ...files])
    expectOnly(examined, 'service-mismatch', 'scope-insufficient')
    const says =
      /for the service "registry", and the registry is called "Docker registry" \(\S+config\.yml:10\): it never matches, and no other rule does/
    const fix = expectFound(examined, { severity: 'fault', id: 'service-mismatch', says, about: `${site.authFile}:14` })
    expect(fix).toEqual([
      `${site.authFile}:14: service: "Docker registry"`,
      `or ${site.configFile}:10: service: registry`,
    ])
    expectFound(examined, {
      severity: 'fault',
      id: 'scope-insufficient',
      says: /is granted nothing of it: no rule speaks of it/,
    })
  })

  test('a key that the rootcertbundle does not have, with both ids', async () => {
    const other = await selfSigned(join(clinic.folder, 'other'), 'RSA 2048')
    const site = await clinic.start({ token: { rootcertbundle: other.bundle } })
    const ids = await Promise.all([site.pair.certificate, other.certificate].map(libtrustIdOf))
    const files = ['--config', site.configFile, '--auth-config', site.authFile]
    const examined = await clinic.asAdmin([site.registry, ...files])
    expectOnly(examined, 'untrusted-key')
    const fix = expectFound(examined, {
      severity: 'fault',
      id: 'untrusted-key',
      says: UNTRUSTED,
      about: `${site.configFile}:12`,
    })
    const [found] = examined.findings.filter(({ id }) => id === 'untrusted-key')
    for (const id of ids) expect(found?.message).toContain(id)
    expect(fix[0]).toStartWith(`cat ${site.pair.certificate} >> ${other.bundle} `)
    expect(fix[1]).toBe(`${site.configFile}:12: rootcertbundle: ${site.pair.certificate}`)

    // The same by the bundle alone, from the token that the client gets.
    const met = await clinic.asAdmin([site.registry, '--bundle', other.bundle])
    expectFound(met, { severity: 'fault', id: 'untrusted-key', says: UNTRUSTED })
    for (const id of ids) expect(met.findings.find((one) => one.id === 'untrusted-key')?.message).toContain(id)
  })

  test('the same where Berth is the registry', async () => {
    const other = await selfSigned(join(clinic.folder, 'stranger'), 'EC P-256')
    const site = await clinic.start()
    const text = readFileSync(site.configFile, 'utf8')
    const config = text
      .replace(/addr: 127.*/, 'addr: 127.0.0.1:0')
      .replace(/rootcertbundle: .*/, `rootcertbundle: ${other.bundle}`)
    const berth = clinic.own(await startBerth({ config, args: ['--addr', '127.0.0.1:0'] }))
    const configFile = clinic.write('berth.yml', config)
    const examined = await clinic.asAdmin([`localhost:${berth.port}`, '--config', configFile])
    expectOnly(examined, 'untrusted-key')
    const ids = await Promise.all([site.pair.certificate, other.certificate].map(libtrustIdOf))
    for (const id of ids) expect(examined.findings.find((one) => one.id === 'untrusted-key')?.message).toContain(id)
  })

  test('a certificate that was renewed with its key, subject and names, which Berth as the registry takes', async () => {
    const pair = await makePair(join(clinic.folder, 'renewed'), { names: ['DNS:localhost'] })
    chmodSync(pair.key, 0o600)
    const old = clinic.write('renewed/old.pem', readFileSync(pair.certificate, 'utf8'))
    const remake = (file: string, san: string) =>
      must([
        ...[program('openssl'), 'req', '-x509', '-key', pair.key, '-days', '365', '-out', file],
        ...['-subj', '/CN=localhost', '-addext', `subjectAltName=${san}`],
      ])
    await remake(pair.certificate, 'DNS:localhost')
    const signing = { certificate: pair.certificate, key: pair.key }
    const site = await clinic.start({ token: { rootcertbundle: old }, signing })
    const files = ['--config', site.configFile, '--auth-config', site.authFile]
    const examined = await clinic.asAdmin([site.registry, ...files])
    expectOnly(examined, 'untrusted-key')
    const says =
      /old\.pem has an older certificate of the key .*registry:2 and 3 .*unknown authority`\. Berth as the registry takes it\.$/
    const at = { id: 'untrusted-key', severity: 'fault' } as const
    const fix = expectFound(examined, { ...at, says, about: `${site.configFile}:12` })
    expect(fix[0]).toStartWith(`cat ${pair.certificate} >> ${old} `)
    expect(site.log()).toContain('certificate signed by unknown authority')
    // From the token that the client gets, which says nothing of where its certificate is.
    const met = await clinic.asAdmin([site.registry, '--bundle', old])
    expectOnly(met, 'untrusted-key')
    expectFound(met, { ...at, says: /old\.pem has another certificate of the key .*unknown authority`$/ })

    const text = readFileSync(site.configFile, 'utf8').replace(/addr: 127.*/, 'addr: 127.0.0.1:0')
    const berth = clinic.own(await startBerth({ config: text, args: ['--addr', '127.0.0.1:0'] }))
    const asked = [`localhost:${berth.port}`]
    expectOnly(await clinic.asAdmin(asked))
    const taken = await clinic.asAdmin([...asked, ...files])
    expectFound(taken, {
      ...at,
      severity: 'warning',
      says: /Berth as the registry takes it\. So did the registry that was asked\.$/,
    })
    expect(taken.code).toBe(0)

    // With another name in it the old one vouches for it, by the same registry.
    const wider = { certificate: join(clinic.folder, 'renewed/wider.pem'), key: pair.key }
    await remake(wider.certificate, 'DNS:localhost,DNS:registry.example')
    const vouched = await clinic.start({ token: { rootcertbundle: old }, signing: wider })
    expectOnly(
      await clinic.asAdmin([vouched.registry, '--config', vouched.configFile, '--auth-config', vouched.authFile]),
    )
  })

  test('a rootcertbundle that was mended after the registry had read it, and nothing that was just done as the remedy', async () => {
    const other = await selfSigned(join(clinic.folder, 'stale'), 'EC P-256')
    const site = await clinic.start({ token: { rootcertbundle: other.bundle } })
    clinic.write('stale/server.pem', readFileSync(site.pair.certificate, 'utf8'))
    const examined = await clinic.asAdmin([site.registry, '--config', site.configFile, '--auth-config', site.authFile])
    expectOnly(examined, 'token-refused')
    const fix = expectFound(examined, { severity: 'fault', id: 'token-refused', says: /does not trust that key/ })
    expect(fix[0]).toStartWith('restart the registry: ')
    expect(fix.join('\n')).not.toMatch(/--config|--bundle/)
  })

  test('key ids of registry 3 at a registry 2', async () => {
    const site = await clinic.start({ signing: { disable_legacy_key_id: 'true', x5c: 'never' } })
    const examined = await clinic.asAdmin([site.registry, '--auth-config', site.authFile])
    expectOnly(examined, 'kid-generation')
    const says =
      /name their key as registry 3 does \(kid [\w-]{43}\) and carry no certificate, and the registry, which seems to be 2\.x/
    const fix = expectFound(examined, { severity: 'fault', id: 'kid-generation', says })
    expect(fix[0]).toBe(`${site.authFile}:8: disable_legacy_key_id: "false"`.replace('"false"', 'false'))
    expect(fix[1]).toContain(`${site.authFile}:9: x5c: auto`)
    expect(site.log()).toMatch(UNTRUSTED)
  })

  test('the clock of a token server that is ten minutes ahead, and one that is behind', async () => {
    // As it is when a token is asked for.
    const now = () => Math.floor(Date.now() / 1000)
    const early = () => ({ claims: { iat: now() + 600, nbf: now() + 590, exp: now() + 1500 } })
    const ahead = await startWith(early, 600)
    const fix = expectFound(await clinic.doctor([ahead.registry]), {
      severity: 'fault',
      id: 'clock-skew',
      says: /10 min or more ahead of the registry's, so its tokens are not valid yet there: `token not to be used before /,
    })
    expect(fix[0]).toEndWith('timedatectl set-ntp true')
    expect(ahead.log()).toContain('token not to be used before')

    const late = () => ({ claims: { iat: now() - 1200, nbf: now() - 1210, exp: now() - 300 } })
    const behind = await startWith(late, -1200)
    expectFound(await clinic.doctor([behind.registry]), {
      severity: 'fault',
      id: 'clock-skew',
      says: /over before the registry sees them, by 5 min/,
    })
    expect(behind.log()).toContain('token not to be used after')
  })

  test('a token that grants less than was asked, and the rule that decided', async () => {
    const acl = `  - match: {account: admin}
    actions: ["*"]
  - match: {account: user01, name: team/app}
    actions: ["pull"]
    comment: guests look only
  - match: {account: user01}
    actions: ["push"]
`
    const site = await clinic.start({ acl })
    const image = `${site.registry}/team/app`
    const asUser = (...args: string[]) =>
      clinic.doctor([...args, '--user', 'user01', '--password-stdin'], USERS.user01.password)
    const files = ['--config', site.configFile, '--auth-config', site.authFile]
    const examined = await asUser(image, '--for', 'push', ...files)
    const says = new RegExp(
      `^user01 asked for repository:team/app:pull,push and is granted only pull: the rule ${site.authFile}:16 \\(guests look only\\) decides; without push .*\`insufficient_scope\``,
    )
    const fix = expectFound(examined, { severity: 'fault', id: 'scope-insufficient', says })
    expect(fix[0]).toBe(`${site.authFile}:17: actions: ["pull","push"]`)
    // Who may be meant to pull alone has nothing wrong with him.
    const look = await asUser(image)
    expectFound(look, { severity: 'warning', id: 'scope-insufficient', says: /granted only pull/ })
    expect(look.code).toBe(0)

    const pushing = await asUser(`${site.registry}/other`, ...files)
    const rule = new RegExp(`granted push without pull: the rule ${site.authFile}:19 decides`)
    const [warned, met] = pushing.findings.filter(({ id }) => id === 'push-without-pull')
    expect([warned?.severity, warned?.about]).toEqual(['warning', `${site.authFile}:19`])
    expect([met?.severity, met?.message]).toEqual(['fault', expect.stringMatching(rule)])
    expect(met?.fix[0]).toBe(`${site.authFile}:20: actions: ["pull","push"]`)

    const catalog = await asUser(site.registry, '--for', 'catalog', ...files)
    const denied = expectFound(catalog, {
      severity: 'fault',
      id: 'catalog-denied',
      says: new RegExp(
        `^user01 may not list repositories: registry:catalog:\\* is not granted: the rule ${site.authFile}:19 decides`,
      ),
    })
    expect(denied[1]).toContain('- {match: {account: "user01", type: registry, name: "catalog"}, actions: ["*"]}')
    const meant = await asUser(site.registry)
    expect(
      expectFound(meant, { severity: 'warning', id: 'catalog-denied', says: /may not list repositories/ })[0],
    ).toStartWith("berth acl test user01 'registry:catalog:*' --data DIR  (")
  })

  test("which of Berth's own rules decided, by the server that runs", async () => {
    const berth = clinic.own(await startBerth({ env: { BERTH_ADMIN_PASSWORD: USERS.admin.password } }))
    const data = ['--data', berth.dataDirectory]
    await must([BERTH, 'user', 'add', 'user01', ...data], { stdin: `${USERS.user01.password}\n` })
    const rule = ['--account', 'user01', '--name', 'team/app', '--actions', 'pull', '--comment', 'guests']
    const added = await must([BERTH, 'acl', 'add', ...rule, ...data, '--format', 'json'])
    const examined = await clinic.doctor(
      [`localhost:${berth.port}/team/app`, '--for', 'push', ...data, '--user', 'user01', '--password-stdin'],
      USERS.user01.password,
    )
    const { id } = JSON.parse(added).rule
    const fix = expectFound(examined, {
      severity: 'fault',
      id: 'scope-insufficient',
      says: new RegExp(`is granted only pull: the rule ${id} \\(guests\\) decides`),
    })
    expect(fix).toEqual([
      `berth acl add --account user01 --type repository --name team/app --actions 'pull,push' --data ${berth.dataDirectory}`,
    ])
    // It can be pasted.
    const [, verb = '', ...words] = fix[0]?.replaceAll("'", '').split(' ') ?? []
    await must([BERTH, verb, ...words])
    expectOnly(await clinic.doctor([`localhost:${berth.port}/team/app`, ...data, ...ADMIN], USERS.admin.password))
  })

  test('nothing that would show a token or a password', async () => {
    const site = await clinic.start()
    const files = ['--config', site.configFile, '--auth-config', site.authFile]
    const text = JSON.stringify(await clinic.asAdmin([`${site.registry}/team/app`, ...files, '--debug']))
    expect(text).not.toMatch(/eyJ[\w-]{10}/)
    for (const { password, hash } of Object.values(USERS)) {
      expect(text).not.toContain(password)
      expect(text).not.toContain(hash)
    }
    expect(text).not.toContain(Buffer.from(`admin:${USERS.admin.password}`).toString('base64'))
    expect(SERVICE).toBe('Docker registry')
  })

  async function libtrustIdOf(file: string): Promise<string> {
    const { X509Certificate } = await import('node:crypto')
    const { libtrustId } = await import('../../src/auth/key-id.ts')
    return libtrustId(new X509Certificate(readFileSync(file)).publicKey)
  }
})
