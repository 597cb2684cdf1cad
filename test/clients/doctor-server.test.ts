import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeWith, must, program, run } from '../programs.ts'
import { type Clinic, expectFound, expectOnly, openClinic, type Plan } from './clinic.ts'
import { USERS } from './first-document.ts'
import { expired } from './token-certificates.ts'

describeWith(['docker-registry', 'openssl', 'htpasswd'], "berth doctor on the server's machine finds", () => {
  let clinic: Clinic

  beforeAll(async () => {
    clinic = await openClinic()
  })
  afterEach(() => clinic.clear())
  afterAll(() => clinic.dispose())

  const examine = ({ configFile, authFile }: Pick<Plan, 'configFile' | 'authFile'>) =>
    clinic.doctor(['--config', configFile, '--auth-config', authFile])
  /** What docker-registry says when it does not start with the configuration. */
  const refusalOf = async ({ configFile }: Pick<Plan, 'configFile'>) => {
    const { code, stderr } = await run([program('docker-registry'), 'serve', configFile])
    expect(code).not.toBe(0)
    return stderr
  }
  const pair = (name: string) => {
    const made = clinic.authority.issue(name, { names: ['localhost'], until: 100 })
    chmodSync(made.key, 0o600)
    return made
  }

  test('nothing in the files of a healthy set-up but a realm for this machine alone', async () => {
    const plan = await clinic.plan({ tls: pair('healthy') })
    const examined = await examine(plan)
    expectOnly(examined)
    expect(examined).toMatchObject({ code: 0, error: '' })
  })

  test('a key that does not belong to its certificate', async () => {
    const [one, other] = [pair('one'), pair('other')]
    const plan = await clinic.plan({
      tls: { certificate: one.certificate, key: other.key },
      realm: 'http://localhost:1/auth',
    })
    expect(await refusalOf(plan)).toContain('tls: private key does not match public key')
    const examined = await examine(plan)
    const says =
      /other\.key does not belong to the certificate \S+one\.crt \(CN=one\): `tls: private key does not match public key`$/
    const fix = expectFound(examined, { severity: 'fault', id: 'key-mismatch', says, about: `${plan.configFile}:8` })
    expect(fix[1]).toStartWith(`${plan.configFile}:9: key: `)
  })

  test('a key that everybody may read', async () => {
    const open = pair('open')
    chmodSync(open.key, 0o644)
    const plan = await clinic.plan({ tls: open })
    const found = (await examine(plan)).findings.filter(({ id }) => id === 'key-exposed')
    expect(new Set(found.map(({ fix }) => fix.join()))).toEqual(new Set([`chmod 600 ${open.key}`]))
    expect(found[0]?.severity).toBe('warning')
    await must(['sh', '-c', found[0]?.fix[0] ?? ''])
    expectOnly(await examine(plan))
  })

  test('files that are missing or hold something else', async () => {
    const plan = await clinic.plan({ token: { rootcertbundle: join(clinic.folder, 'nowhere.pem') } })
    expect(await refusalOf(plan)).toContain('nowhere.pem: no such file or directory')
    const says = /^auth\.token\.rootcertbundle names \S+nowhere\.pem, which is not there$/
    const fix = expectFound(await examine(plan), {
      severity: 'fault',
      id: 'file-unusable',
      says,
      about: `${plan.configFile}:12`,
    })
    expect(fix[0]).toStartWith(`${plan.configFile}:12: rootcertbundle: `)
    const garbage = await clinic.plan({ token: { rootcertbundle: clinic.write('garbage.pem', 'hello') } })
    expectFound(await examine(garbage), {
      severity: 'fault',
      id: 'file-unusable',
      says: /holds no certificate in PEM$/,
    })
  })

  test('a realm without TLS behind TLS, one for this machine alone, and one that is no address', async () => {
    const tls = pair('realm')
    const plain = await clinic.plan({ tls, realm: 'http://registry.example:5001/auth' })
    const fix = expectFound(await examine(plain), {
      severity: 'fault',
      id: 'realm-plain-http',
      says: /in clear/,
      about: `${plain.configFile}:12`,
    })
    expect(fix).toEqual([`${plain.configFile}:12: realm: https://registry.example:5001/auth`])
    const local = await clinic.plan({ realm: 'http://localhost:5001/auth' })
    const text = readFileSync(local.configFile, 'utf8').replace('addr: 127.0.0.1:', 'addr: :')
    const everywhere = { ...local, configFile: clinic.write('everywhere.yml', text) }
    expectFound(await examine(everywhere), {
      severity: 'warning',
      id: 'realm-unreachable',
      says: /on every other machine localhost is that machine itself/,
    })
    const wrong = await clinic.plan({ realm: 'localhost' })
    expectFound(await examine(wrong), { severity: 'fault', id: 'realm-invalid', says: /which is no address/ })
  })

  test('a certificate that is over, and one without the name in the realm', async () => {
    const over = clinic.authority.issue('over', { names: ['localhost'], from: -30, until: -2 })
    chmodSync(over.key, 0o600)
    const plan = await clinic.plan({ tls: over })
    const found = (await examine(plan)).findings.filter(({ id }) => id === 'certificate-expired')
    expect(found.map(({ about }) => about)).toEqual([`${plan.configFile}:8`, `${plan.authFile}:3`])
    expect(found[0]?.fix[0]).toContain(`openssl req -x509 -key ${over.key} -days 365 -out ${over.certificate}`)
    const elsewhere = await clinic.plan({ tls: pair('elsewhere'), realm: 'https://auth.example:5001/auth' })
    const says = /only localhost and does not name auth\.example/
    expectFound(await examine(elsewhere), {
      severity: 'fault',
      id: 'certificate-names',
      says,
      about: `${elsewhere.authFile}:3`,
    })
  })

  test('a certificate as openssl makes it from its questions alone, which has not even a Common Name', async () => {
    const bare = { certificate: join(clinic.folder, 'bare.pem'), key: join(clinic.folder, 'bare.key') }
    await must([
      ...[program('openssl'), 'req', '-x509', '-nodes', '-days', '30', '-newkey', 'rsa:2048'],
      ...['-keyout', bare.key, '-out', bare.certificate, '-subj', '/C=AU/ST=Some-State/O=Internet Widgits Pty Ltd'],
    ])
    const plan = await clinic.plan({ tls: bare })
    // Nothing but the address says who may come, which is this machine alone.
    const says = /has no name at all \(C=AU, ST=Some-State, O=Internet Widgits Pty Ltd\), so clients refuse it/
    const names = { severity: 'warning', id: 'certificate-names' } as const
    expectFound(await clinic.doctor(['--auth-config', plan.authFile]), { ...names, says, about: `${plan.authFile}:3` })
    const text = readFileSync(plan.authFile, 'utf8').replace(/addr: 127[.\d]*(:\d+)/, 'addr: "$1"')
    const everywhere = clinic.write('everywhere.yml', text)
    expectFound(await clinic.doctor(['--auth-config', everywhere]), { ...names, severity: 'fault', says })

    await clinic.startRegistry(plan)
    const met = await clinic.asAdmin([plan.registry, '--auth-config', everywhere])
    expectFound(met, { ...names, says: /has no name at all .* does not name localhost, .*Docker takes any/ })
  })

  test('a token certificate that is over, in every token', async () => {
    const over = await expired(join(clinic.folder, 'expired'), 'RSA 2048')
    const signing = { certificate: over.certificate, key: over.key, x5c: 'always' }
    const site = await clinic.start({ signing, token: { rootcertbundle: over.bundle } })
    const examined = await clinic.asAdmin([site.registry, '--config', site.configFile, '--auth-config', site.authFile])
    expectOnly(examined, 'token-certificate-expired', 'untrusted-key')
    expectFound(examined, {
      severity: 'fault',
      id: 'token-certificate-expired',
      says: /Every token carries it/,
      about: `${site.authFile}:6`,
    })
    expect(site.log()).toMatch(/expired/)
  })

  test('passwords that are no bcrypt hashes, in a htpasswd file and among the users, and shows none', async () => {
    const file = join(clinic.folder, 'htpasswd')
    await must([program('htpasswd'), '-cbB', file, 'good', 'right-password'])
    await must([program('htpasswd'), '-bm', file, 'old', 'right-password'])
    const configFile = clinic.write(
      'htpasswd.yml',
      `version: 0.1\nstorage: {filesystem: {rootdirectory: ${clinic.folder}/data}}\nhttp: {addr: "127.0.0.1:0"}\nauth:\n  htpasswd:\n    realm: Registry\n    path: ${file}\n`,
    )
    const examined = await clinic.doctor([configFile])
    const says = /^the password of old is hashed with apr1 \(MD5\); registries take bcrypt alone/
    const fix = expectFound(examined, { severity: 'fault', id: 'password-not-bcrypt', says, about: `${file}:2` })
    expect(fix).toEqual([`berth htpasswd add ${file} old`, `or htpasswd -B ${file} old`])
    for (const line of readFileSync(file, 'utf8').trim().split('\n'))
      expect(JSON.stringify(examined)).not.toContain(line.split(':')[1] ?? '?')

    const plan = await clinic.plan()
    const text = readFileSync(plan.authFile, 'utf8').replace(USERS.user01.hash, 'in-plain-text')
    const users = await examine({ ...plan, authFile: clinic.write('plain.yml', text) })
    const where = `${clinic.folder}/plain.yml:${text.split('\n').findIndex((line) => line.includes('in-plain-text')) + 1}`
    const remedy = expectFound(users, {
      severity: 'fault',
      id: 'password-not-bcrypt',
      says: /the password of user01 is no hash that is known/,
      about: where,
    })
    expect(remedy[0]).toStartWith(`${where}: password: `)
    expect(JSON.stringify(users)).not.toContain('in-plain-text')
  })

  test('a registry that refuses such a password, seen from both sides', async () => {
    const file = join(clinic.folder, 'htpasswd-md5')
    await must([program('htpasswd'), '-cbm', file, 'old', 'right-password'])
    const made = await clinic.plan()
    const text = readFileSync(made.configFile, 'utf8').replace(
      /^auth:[\s\S]*$/m,
      `auth:\n  htpasswd:\n    realm: Registry\n    path: ${file}\n`,
    )
    const plan = { ...made, configFile: clinic.write('md5.yml', text) }
    await clinic.startRegistry(plan)
    const examined = await clinic.doctor(
      [plan.registry, '--config', plan.configFile, '--user', 'old', '--password-stdin'],
      'right-password',
    )
    expectOnly(examined, 'password-not-bcrypt', 'credentials-refused')
  })

  test('configurations that are refused, and what is probably not meant', async () => {
    const plan = await clinic.plan({ more: 'validation:\n  manifest: {}\n' })
    const text = readFileSync(plan.configFile, 'utf8')
    const line = text.split('\n').findIndex((one) => one.includes('manifest: {}')) + 1
    expectFound(await examine(plan), {
      severity: 'warning',
      id: 'config-doubtful',
      says: /unknown|manifests/,
      about: `${plan.configFile}:${line}`,
    })
    const broken = clinic.write('broken.yml', text.replace('version: 0.1', 'version: 7'))
    expectFound(await clinic.doctor([broken]), {
      severity: 'fault',
      id: 'config-invalid',
      says: /unsupported version: "7"/,
      about: `${broken}:1`,
    })
  })

  const isRoot = process.getuid?.() === 0
  describe.skipIf(!isRoot)(`on a disk of its own${isRoot ? '' : ' [needs root, to mount a small tmpfs]'}`, () => {
    let disk = ''
    const mount = async (name: string) => {
      disk = join(clinic.folder, name)
      mkdirSync(disk)
      await must(['mount', '-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', disk])
      const plan = await clinic.plan()
      const text = readFileSync(plan.configFile, 'utf8').replace(/rootdirectory: .*/, `rootdirectory: ${disk}/data`)
      return { ...plan, configFile: clinic.write(`${name}.yml`, text) }
    }
    afterEach(async () => {
      await run(['umount', disk])
    })

    test('that it is full', async () => {
      const plan = await mount('full')
      await must(['sh', '-c', `head -c 150m /dev/zero > ${disk}/filler`])
      const says = /^50 MiB of 200 MiB are free on the disk of \S+\/data: pushes fail with `no space left on device`$/
      const fix = expectFound(await examine(plan), { severity: 'fault', id: 'disk-full', says, about: `${disk}/data` })
      expect(fix[0]).toContain(`berth gc run --now --data ${disk}/data`)
      expect(fix[1]).toContain(`${plan.configFile}:4: rootdirectory: `)
      truncateSync(join(disk, 'filler'), 0)
      const refuses = /^200 MiB of 200 MiB are free .*: Berth refuses pushes below 256 MiB \(space\.minfree\)/
      const less = expectFound(await examine(plan), { severity: 'fault', id: 'disk-full', says: refuses })
      expect(less[2]).toContain('add space.minfree: "64MiB"')
      writeFileSync(plan.configFile, `${readFileSync(plan.configFile, 'utf8')}\nspace: {minfree: 64MiB}\n`)
      expectFound(await examine(plan), { severity: 'warning', id: 'disk-full', says: /^200 MiB of 200 MiB are free/ })
    })

    test('that it may not be written', async () => {
      const plan = await mount('read-only')
      mkdirSync(join(disk, 'data'))
      await must(['mount', '-o', 'remount,ro', disk])
      const says = /is on a file system that is mounted read-only: pushes fail/
      const fix = expectFound(await examine(plan), {
        severity: 'fault',
        id: 'data-not-writable',
        says,
        about: `${disk}/data`,
      })
      expect(fix[0]).toBe(`mount -o remount,rw ${disk}/data`)
    })
  })

  test('a key of a pair that is not the first certificate of its file', async () => {
    const [one, other] = [pair('first'), pair('second')]
    const both = clinic.write(
      'both.crt',
      readFileSync(other.certificate, 'utf8') + readFileSync(one.certificate, 'utf8'),
    )
    copyFileSync(one.key, join(clinic.folder, 'both.key'))
    chmodSync(join(clinic.folder, 'both.key'), 0o600)
    const plan = await clinic.plan({
      tls: { certificate: both, key: join(clinic.folder, 'both.key') },
      realm: 'http://localhost:1/auth',
    })
    const fix = expectFound(await examine(plan), {
      severity: 'fault',
      id: 'key-mismatch',
      says: /both\.key does not belong/,
    })
    expect(fix).toEqual([`${both}: the key's certificate is the 2. of the file: put it first`])
  })
})
