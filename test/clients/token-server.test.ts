import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { describeWith, run } from '../programs.ts'
import type { Berth } from '../start-berth.ts'
import { type DebianRegistry, startDebianRegistry } from './debian-registry.ts'
import { DENIED, type DockerSite, type DockerUser, fetchToken, openDockerSite, SUMS } from './docker-site.ts'
import { USERS } from './first-document.ts'
import { expired, KEYS, type KeyName, selfSigned, signedByAuthority, type TokenPair } from './token-certificates.ts'

/**
 * `berth auth` in docker_auth's place: the token server of a registry that is not Berth. Both know of each other only what
 * their own configuration says.
 */
const SERVICE = 'Docker registry'
const ISSUER = 'Auth Service'
const LIBTRUST_ID = /^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/

type X5c = 'auto' | 'always' | 'never'

interface Trust {
  title: string
  x5c: X5c
  makePair: (folder: string, key: KeyName) => Promise<TokenPair>
  /** Whether tokens carry their certificate. */
  isCarried: boolean
}

const TRUSTS: readonly Trust[] = [
  {
    title: 'that has the certificate itself, of tokens that carry it',
    x5c: 'auto',
    makePair: selfSigned,
    isCarried: true,
  },
  {
    title: 'that has the certificate itself, by kid alone',
    x5c: 'never',
    makePair: selfSigned,
    isCarried: false,
  },
  {
    title: 'that has only the authority which signed the certificate, by x5c alone',
    x5c: 'auto',
    makePair: signedByAuthority,
    isCarried: true,
  },
  {
    title: 'that has the certificate itself, which is expired and so left out',
    x5c: 'auto',
    makePair: expired,
    isCarried: false,
  },
]

describeWith(
  ['docker', 'dockerd', 'busybox', 'docker-registry', 'openssl', 'curl'],
  "berth auth as the token server of Debian's docker-registry",
  () => {
    let site: DockerSite

    beforeAll(async () => {
      site = await openDockerSite()
    })

    afterAll(async () => {
      await site?.dispose()
    })

    /** A token server with the pair, and a registry that trusts the pair's bundle. */
    const startPair = async (pair: TokenPair, x5c: X5c): Promise<{ registry: DebianRegistry; realm: string }> => {
      const port = await freePort()
      const authConfig = `
server: {addr: ":${port}", certificate: "${pair.certificate}", key: "${pair.key}"}
token: {issuer: "${ISSUER}", expiration: 900, x5c: ${x5c}}
users:
  "admin": {password: "${USERS.admin.hash}"}
  "user01": {password: "${USERS.user01.hash}"}
acl:
  - match: {account: "admin"}
    actions: ["*"]
  - match: {account: "user01"}
    actions: ["pull"]
`
      const berth: Berth = await site.start({ verb: 'auth', authConfig })
      const realm = `https://localhost:${berth.port}/auth`
      const token = { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: pair.bundle }
      return { registry: site.own(await startDebianRegistry({ token })), realm }
    }
    const tokenFor = (realm: string, scope: string) =>
      fetchToken(realm, `admin:${USERS.admin.password}`, { service: SERVICE, scope })
    const curl = (token: string, ...args: string[]) =>
      run(['curl', '--silent', '--show-error', '--header', `Authorization: Bearer ${token}`, ...args])

    for (const key of Object.keys(KEYS) as KeyName[]) {
      for (const [index, { title, x5c, makePair, isCarried }] of TRUSTS.entries()) {
        describe(`${key}, for a registry ${title}`, () => {
          let registry: DebianRegistry
          let realm = ''
          let admin: DockerUser
          let image = ''
          let digest = ''

          beforeAll(async () => {
            const pair = await makePair(join(site.folder, `${key}-${index}`), key)
            const started = await startPair(pair, x5c)
            registry = started.registry
            realm = started.realm
            image = `${registry.host}/team/app:1`
            admin = site.user()
          })

          test('the token has the head that such a registry needs', async () => {
            const { header } = await tokenFor(realm, 'registry:catalog:*')
            expect(Object.keys(header)).toEqual(['typ', 'alg', 'kid', ...(isCarried ? ['x5c'] : [])])
            expect(header).toMatchObject({ alg: KEYS[key].algorithm, kid: expect.stringMatching(LIBTRUST_ID) })
          })

          test('admin logs in, pushes, and pulls it back whole', async () => {
            const wrong = await admin.login(registry.host, 'admin', 'wrong')
            expect(wrong).toMatchObject({ code: 1 })
            expect(wrong.stderr).toEndWith('unauthorized: authentication required\n')
            expect(await admin.login(registry.host, 'admin', USERS.admin.password)).toMatchObject({
              code: 0,
              stdout: 'Login Succeeded\n',
            })
            const pushed = await admin.push(image)
            expect(pushed).toMatchObject({ code: 0, stderr: '' })
            digest = /^1: digest: (sha256:[a-f0-9]{64}) /m.exec(pushed.stdout)?.[1] ?? 'none'
            expect(await admin.pullWhole(image)).toBe(SUMS)
          })

          test('user01 pulls, and may not push', async () => {
            const user = site.user()
            expect(await user.login(registry.host, 'user01', USERS.user01.password)).toMatchObject({ code: 0 })
            expect(await user.pull(image)).toMatchObject({ code: 0 })
            expect(await user.push(`${registry.host}/user01/app:1`)).toMatchObject({ code: 1, stderr: DENIED })
          })

          test('curl lists the catalog and deletes the image, with a token for each', async () => {
            const catalog = await tokenFor(realm, 'registry:catalog:*')
            const listed = await curl(catalog.token, `${registry.url}/v2/_catalog`)
            expect(listed.stdout).toBe('{"repositories":["team/app"]}\n')

            const status = ['--output', '/dev/null', '--write-out', '%{http_code}']
            const remove = ['--request', 'DELETE', `${registry.url}/v2/team/app/manifests/${digest}`]
            expect((await curl(catalog.token, ...status, ...remove)).stdout).toBe('401')
            const deletion = await tokenFor(realm, 'repository:team/app:delete')
            expect((await curl(deletion.token, ...status, ...remove)).stdout).toBe('202')
            const gone = await admin.pull(image)
            expect(gone.code).toBe(1)
            expect(gone.stderr).toContain('manifest unknown')
          })
        })
      }
    }

    const refusals = [
      ['an authority cannot vouch for a kid', 'never', signedByAuthority, 'token signed by untrusted key with ID'],
      ['a token that carries an expired certificate is refused', 'always', expired, 'certificate has expired'],
    ] as const
    for (const [title, x5c, makePair, reason] of refusals) {
      test(`${title}: so x5c decides`, async () => {
        const pair = await makePair(join(site.folder, title), 'EC P-256')
        const { registry, realm } = await startPair(pair, x5c)
        const { token } = await tokenFor(realm, 'registry:catalog:*')
        const answer = await curl(token, `${registry.url}/v2/_catalog`)
        expect(JSON.parse(answer.stdout).errors[0].code).toBe('UNAUTHORIZED')
        expect(registry.log()).toContain(reason)
      })
    }
  },
)
