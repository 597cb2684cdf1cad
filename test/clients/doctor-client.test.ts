import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makePair } from '../certificates.ts'
import { freePort } from '../free-port.ts'
import { describeWith } from '../programs.ts'
import { type Clinic, expectFound, expectOnly, openClinic, type PlanOptions } from './clinic.ts'
import { USERS } from './first-document.ts'
import { openVerbShell } from './verb-shell.ts'

/** Where no machine but this one answers, and docker does not know that it is this one. */
const AFAR = '0.0.0.0'

describeWith(['docker-registry', 'openssl'], 'berth doctor at a client finds', () => {
  let clinic: Clinic
  let tls: NonNullable<PlanOptions['tls']>

  beforeAll(async () => {
    clinic = await openClinic()
    tls = clinic.authority.issue('server', { names: [AFAR, 'localhost'], until: 100 })
    chmodSync(tls.key, 0o600)
  })
  afterEach(() => clinic.clear())
  afterAll(() => clinic.dispose())

  const place = (host: string, file: string, name = 'ca.crt') => {
    const folder = join(clinic.root, 'etc/docker/certs.d', host)
    mkdirSync(folder, { recursive: true })
    copyFileSync(file, join(folder, name))
  }
  const daemonJson = (text: string) => {
    mkdirSync(join(clinic.root, 'etc/docker'), { recursive: true })
    writeFileSync(join(clinic.root, 'etc/docker/daemon.json'), text)
  }
  /** A server of the test's own. */
  const serve = (fetch: (request: Request) => Response | Promise<Response>) => {
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', maxRequestBodySize: Number.MAX_SAFE_INTEGER, fetch })
    clinic.own({ dispose: async () => await server.stop(true) })
    return server.port ?? 0
  }

  test('nothing at a registry with TLS and a token server whose authority docker trusts', async () => {
    const site = await clinic.start({ host: AFAR, tls })
    place(site.registry, clinic.authority.file)
    const image = `${site.registry}/team/app`
    const examined = await clinic.asAdmin([
      image,
      '--for',
      'pull,push,delete,catalog',
      '--config',
      site.configFile,
      '--auth-config',
      site.authFile,
    ])
    expectOnly(examined)
    expect(examined).toMatchObject({ code: 0, error: '' })
    const topics = new Set(examined.findings.map(({ id }) => id))
    for (const topic of [
      'reach',
      'token-server',
      'certificate',
      'docker',
      'token',
      'rights',
      'proxy',
      'keys',
      'passwords',
      'storage',
    ]) {
      expect([topic, topics.has(topic)]).toEqual([topic, true])
    }
  })

  test('nothing at a registry without TLS on the machine itself, nor does it need insecure-registries', async () => {
    const site = await clinic.start()
    expectOnly(await clinic.asAdmin([site.registry]))
    daemonJson(`{\n  "insecure-registries": ["other:5000", "${site.registry}"]\n}\n`)
    const examined = await clinic.asAdmin([site.registry])
    expectOnly(examined, 'insecure-registry-unneeded')
    const about = `${clinic.root}/etc/docker/daemon.json:2`
    const fix = expectFound(examined, {
      severity: 'warning',
      id: 'insecure-registry-unneeded',
      says: /on this machine/,
      about,
    })
    expect(fix).toEqual([`${about}: "insecure-registries": ["other:5000"]; then: systemctl restart docker`])
  })

  test('a registry where nobody listens, in one line', async () => {
    const host = `localhost:${await freePort()}`
    const examined = await clinic.doctor([host])
    expectOnly(examined, 'registry-unreachable')
    expect(
      expectFound(examined, { severity: 'fault', id: 'registry-unreachable', says: /nobody listens there$/ }),
    ).toHaveLength(1)
    expect(examined).toMatchObject({ code: 1, error: 'berth: 1 fault.\n' })
  })

  test.each<[string, () => Response]>([
    ['a web site', () => new Response('<html>Welcome', { headers: { 'Content-Type': 'text/html' } })],
    ['another service', () => new Response('no', { status: 404 })],
    ['one that lets nobody in', () => new Response('no', { status: 401 })],
  ])('%s in the place of a registry', async (_, answer) => {
    const examined = await clinic.doctor([`localhost:${serve(answer)}`])
    expectOnly(examined, 'not-a-registry')
    expectFound(examined, { severity: 'fault', id: 'not-a-registry', says: /no sign of a registry/ })
  })

  test('a realm that nobody answers at, with the line that names it', async () => {
    const plan = await clinic.plan({ realm: `http://localhost:${await freePort()}/auth` })
    await clinic.startRegistry(plan)
    const fix = expectFound(await clinic.asAdmin([plan.registry, '--config', plan.configFile]), {
      severity: 'fault',
      id: 'realm-unreachable',
      says: /sends clients to http:\/\/localhost:\d+\/auth for tokens, and that cannot be reached from here: nobody listens there$/,
    })
    expect(fix[0]).toStartWith(`${plan.configFile}:9: realm: https://localhost:5001/auth`)
    expect(
      expectFound(await clinic.asAdmin([plan.registry]), {
        severity: 'fault',
        id: 'realm-unreachable',
        says: /nobody/,
      })[0],
    ).toEndWith('(or REGISTRY_AUTH_TOKEN_REALM=https://localhost:5001/auth)')
  })

  test('a realm of localhost that only the server itself can reach', async () => {
    const plan = await clinic.plan({ host: AFAR, realm: `http://localhost:${await freePort()}/auth` })
    await clinic.startRegistry(plan)
    const fix = expectFound(await clinic.asAdmin([plan.registry]), {
      severity: 'fault',
      id: 'realm-unreachable',
      says: /localhost is this machine itself, and not that of the registry/,
    })
    expect(fix[0]).toContain(`auth.token.realm: ${plan.realm.replace('localhost', AFAR)}`)
  })

  test('a realm with a password in it, which is not shown', async () => {
    const plan = await clinic.plan({ realm: `http://admin:top-secret@localhost:${await freePort()}/auth` })
    await clinic.startRegistry(plan)
    const examined = await clinic.asAdmin([plan.registry, '--config', plan.configFile])
    expectFound(examined, { severity: 'fault', id: 'realm-unreachable', says: /http:\/\/admin:\*{8}@localhost/ })
    expect(JSON.stringify(examined)).not.toContain('top-secret')
  })

  test('a realm that is no address', async () => {
    const plan = await clinic.plan({ realm: 'auth-server' })
    await clinic.startRegistry(plan)
    expectFound(await clinic.asAdmin([plan.registry]), {
      severity: 'fault',
      id: 'realm-invalid',
      says: /"auth-server" for tokens, which is no address/,
    })
  })

  test('a realm with the wrong path', async () => {
    const plan = await clinic.plan()
    await clinic.startTokenServer(plan)
    const wrong = await clinic.plan({ realm: plan.realm.replace('/auth', '/token-server') })
    await clinic.startRegistry(wrong)
    const says = /answers 404 .*a token server answers with a token, or 401/
    expectFound(await clinic.asAdmin([wrong.registry]), { severity: 'fault', id: 'realm-invalid', says })
  })

  test.each<[string, () => Response, RegExp]>([
    [
      'fails',
      () => new Response('database is down\n', { status: 500 }),
      /^no token could be had: .* answers 500: database is down$/,
    ],
    ['gives no token', () => Response.json({}), /^no token could be had: .* answers without a token$/],
  ])('a token server that %s once somebody asks by name', async (_, answer, says) => {
    const asked = (request: Request) =>
      request.headers.has('authorization') ? answer() : new Response('no', { status: 401 })
    const plan = await clinic.plan({ realm: `http://localhost:${serve(asked)}/auth` })
    await clinic.startRegistry(plan)
    const examined = await clinic.asAdmin([plan.registry])
    expectOnly(examined, 'realm-invalid')
    expectFound(examined, { severity: 'fault', id: 'realm-invalid', says, about: plan.realm })
  })

  test('answers that begin and do not end, without waiting for them', async () => {
    // For what comes at once it is long, on however busy a machine; what does not end takes all of it.
    const timeout = ['--timeout', '4s']
    const endless = () =>
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode('{')),
        pull: () => new Promise(() => {}),
      })
    const challenge = { 'WWW-Authenticate': 'Basic realm="x"' }
    const registry = `localhost:${serve(() => new Response(endless(), { status: 401, headers: challenge }))}`
    const met = await clinic.doctor([registry, '--for', 'pull', ...timeout])
    expectOnly(met, 'credentials-refused')
    const json = { 'Content-Type': 'application/json' }
    const realm = `http://localhost:${serve(() => new Response(endless(), { headers: json }))}/auth`
    const plan = await clinic.plan({ realm })
    await clinic.startRegistry(plan)
    const examined = await clinic.doctor([plan.registry, ...timeout])
    expectFound(examined, { severity: 'fault', id: 'realm-unreachable', says: /begins an answer and does not end it/ })
  })

  test('a registry that would move the cursor of whoever reads what it says of itself', async () => {
    const headers = { 'WWW-Authenticate': 'Bearer realm="\u009b31mred",service="s"', Server: 'x\u009b2J' }
    const port = serve(() => new Response('{}', { status: 401, headers }))
    const { out, error } = await openVerbShell(clinic.folder).run('doctor', `localhost:${port}`, '--root', clinic.root)
    expect(out).toContain('realm-invalid')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be there.
    expect(out + error).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  })

  test('a registry that fails by itself', async () => {
    const site = await clinic.start()
    const link = join(
      site.configFile,
      '../data/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
    )
    mkdirSync(dirname(link), { recursive: true })
    writeFileSync(link, 'sha256:damaged')
    const examined = await clinic.asAdmin([`${site.registry}/team/app:v1`])
    expectOnly(examined, 'registry-failing')
    const about = `${site.registry}/team/app:v1`
    expectFound(examined, { severity: 'fault', id: 'registry-failing', says: /answers 500|UNKNOWN/, about })
  })

  test('a realm without TLS behind a registry with it, to which no password goes', async () => {
    const plan = await clinic.plan({ host: AFAR, tls, realm: `http://${AFAR}:${await freePort()}/auth` })
    await clinic.startTokenServer(plan)
    await clinic.startRegistry(plan)
    place(plan.registry, clinic.authority.file)
    const examined = await clinic.asAdmin([plan.registry, '--config', plan.configFile])
    const fix = expectFound(examined, {
      severity: 'fault',
      id: 'realm-plain-http',
      says: /passwords go there in clear/,
    })
    expect(fix).toEqual([`${plan.configFile}:12: realm: ${plan.realm.replace('http:', 'https:')}`])
    expect(examined.findings.find(({ id }) => id === 'token')).toMatchObject({ severity: 'note' })
  })

  test('a certificate with a Common Name alone, and one for other names', async () => {
    const nameless = await makePair(join(clinic.folder, 'nameless'), { names: [] })
    const first = await clinic.start({ host: AFAR, tls: nameless })
    place(first.registry, nameless.certificate)
    const examined = await clinic.asAdmin([first.registry])
    const names = examined.findings.filter(({ id }) => id === 'certificate-names')
    // Registry and token server have the same.
    expect(names.map(({ about }) => about)).toEqual([first.registry, new URL(first.realm).host])
    expect(names[0]?.message).toEndWith(
      "`x509: cannot validate certificate for 0.0.0.0 because it doesn't contain any IP SANs`",
    )
    expect(names[0]?.fix.join('\n')).toContain('-addext subjectAltName=IP:0.0.0.0')
    expect(names[0]?.fix.join('\n')).toContain('berth serve --tls auto --tls-name 0.0.0.0')
    // With the files at hand it is said no more often, and the remedy names them.
    const both = await clinic.asAdmin([first.registry, '--auth-config', first.authFile])
    const known = both.findings.filter(({ id }) => id === 'certificate-names')
    expect(known.map(({ about }) => about)).toEqual([first.registry, new URL(first.realm).host])
    expect(known[0]?.fix[0]).toContain(`-key ${nameless.key} -days 365 -out ${nameless.certificate} `)
    await clinic.clear()

    const other = clinic.authority.issue('other', { names: ['registry.example', '192.0.2.7'] })
    const second = await clinic.start({ host: AFAR, tls: other })
    place(second.registry, clinic.authority.file)
    const [found] = (await clinic.asAdmin([second.registry])).findings.filter(({ id }) => id === 'certificate-names')
    expect(found).toMatchObject({
      severity: 'fault',
      message: expect.stringContaining('`x509: certificate is valid for registry.example, 192.0.2.7, not 0.0.0.0`'),
    })
  })

  test.each<[string, { from: number; until: number }, string, RegExp]>([
    ['is over', { from: -30, until: -2 }, 'certificate-expired', /ended on 20\d\d-/],
    ['has not begun', { from: 2, until: 30 }, 'certificate-not-yet-valid', /begins on 20\d\d-.*the clock here says/],
  ])('a certificate that %s', async (name, dates, id, says) => {
    const late = clinic.authority.issue(name.replaceAll(' ', '-'), { names: [AFAR], ...dates })
    const plan = await clinic.plan({ host: AFAR, tls: late, realm: `http://${AFAR}:${await freePort()}/auth` })
    await clinic.startRegistry(plan)
    place(plan.registry, clinic.authority.file)
    const fix = expectFound(await clinic.asAdmin([plan.registry]), {
      severity: 'fault',
      id,
      says,
      about: plan.registry,
    })
    expect(fix.join('\n')).toContain('openssl req -x509')
  })

  test('an authority that docker does not trust, the place where it must be, and a name that docker passes over', async () => {
    const site = await clinic.start({ host: AFAR, tls })
    const folder = `${clinic.root}/etc/docker/certs.d/${site.registry}`
    const trust = async (...args: string[]) =>
      (await clinic.asAdmin([site.registry, ...args])).findings.filter(({ id }) => id === 'ca-untrusted')
    const found = await trust('--ca-file', clinic.authority.file)
    expect(found.map(({ about, severity }) => [about, severity])).toEqual([
      [site.registry, 'fault'],
      [new URL(site.realm).host, 'fault'],
    ])
    expect(found[0]?.message).toContain('signed by CN=example-authority')
    expect(found[0]?.message).toContain('`x509: certificate signed by unknown authority`')
    expect(found[0]?.fix[0]).toBe(`mkdir -p ${folder} && cp ${clinic.authority.file} ${folder}/ca.crt`)
    place(site.registry, clinic.authority.file, 'ca.pem')
    expect((await trust())[0]?.fix[0]).toBe(`mv ${folder}/ca.pem ${folder}/ca.crt`)
    place(site.registry, clinic.authority.file)
    expect(await trust()).toEqual([])
  })

  test('a registry without TLS on another machine, until insecure-registries has it', async () => {
    const site = await clinic.start({ host: AFAR })
    daemonJson('{"insecure-registries": ["other:5000"]}')
    const examined = await clinic.asAdmin([site.registry])
    expectOnly(examined, 'insecure-registry-needed')
    const fix = expectFound(examined, {
      severity: 'fault',
      id: 'insecure-registry-needed',
      says: /`http: server gave HTTP response to HTTPS client`/,
    })
    expect(fix[1]).toContain(
      `${clinic.root}/etc/docker/daemon.json: "insecure-registries": ["other:5000","${site.registry}"]`,
    )
    expect(examined.findings.find(({ id }) => id === 'token')?.message).toContain('--plain-http')
    daemonJson(`{"insecure-registries": ["other:5000", "${site.registry}"]}`)
    expectOnly(await clinic.asAdmin([site.registry]))
    daemonJson('{"insecure-registries": ["0.0.0.0/8"]}')
    expectOnly(await clinic.asAdmin([site.registry]))
  })

  test('settings of docker that are no JSON', async () => {
    const site = await clinic.start()
    daemonJson('{"insecure-registries": [localhost:5000]}')
    const about = `${clinic.root}/etc/docker/daemon.json`
    expectFound(await clinic.asAdmin([site.registry]), {
      severity: 'fault',
      id: 'docker-settings-invalid',
      says: /dockerd does not start/,
      about,
    })
  })

  test('a wrong password, and that nobody is logged in, without showing the password', async () => {
    const site = await clinic.start({ acl: '  - match: {account: "/.+/"}\n    actions: ["*"]\n' })
    const wrong = await clinic.doctor([site.registry, '--user', 'admin', '--password-stdin'], 'not-the-password')
    expectOnly(wrong, 'credentials-refused')
    expectFound(wrong, { severity: 'fault', id: 'credentials-refused', says: /does not accept the credentials/ })
    expect(JSON.stringify(wrong)).not.toContain('not-the-password')
    // Whoever must be able to pull has something to do; whoever only asks what is there has not.
    const wanting = await clinic.doctor([site.registry, '--for', 'pull'])
    expectFound(wanting, { severity: 'fault', id: 'credentials-refused', says: /lets nobody in without logging in/ })
    const nobody = await clinic.doctor([site.registry])
    expect(nobody.code).toBe(0)
    expect(
      expectFound(nobody, {
        severity: 'warning',
        id: 'credentials-refused',
        says: /lets nobody in without logging in/,
      }),
    ).toEqual([`berth login ${site.registry}`])
  })

  test('an image that is not there', async () => {
    const site = await clinic.start()
    const examined = await clinic.asAdmin([`${site.registry}/team/app:v9`])
    expectOnly(examined, 'image-missing')
    const fix = expectFound(examined, {
      severity: 'fault',
      id: 'image-missing',
      says: /manifest unknown/,
      about: `${site.registry}/team/app:v9`,
    })
    expect(fix[0]).toStartWith(`berth ls ${site.registry}/team/app `)
  })

  test('names nobody can have, and actions that there are not, before anything is asked', async () => {
    for (const args of [
      ['localhost:1/UPPER'],
      ['localhost:1', '--for', 'dance'],
      ['localhost:1', '--password-stdin'],
      ['localhost:1', '--user', USERS.admin.password],
    ]) {
      const { code, error } = await clinic.doctor(args)
      expect([args, code]).toEqual([args, 64])
      expect(error).toMatch(/^berth: .*\n(Hint: .*\n)?$/)
    }
  })
})
