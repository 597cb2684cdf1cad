import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makePair } from '../certificates.ts'
import { freePort } from '../free-port.ts'
import { describeWith, type Ended, run } from '../programs.ts'
import type { Berth } from '../start-berth.ts'
import { startDebianRegistry } from './debian-registry.ts'
import { administer, type DockerSite, type DockerUser, listTokens, openDockerSite } from './docker-site.ts'
import { podmanEnvironment } from './podman-environment.ts'

/** What docker keeps in place of the password when the token server gives it a refresh token: an identity token. */
const SERVICE = 'Docker registry'
const ISSUER = 'Auth Service'
const FIRST = 'a-first-password'
const SECOND = 'a-second-password'
const ENDED = 'unauthorized: the identity token is not valid any more; log in again\n'
const SECRET = /^berth_r[0-9A-Za-z]{49}$/

interface Setup {
  /** Whose data directory the commands name. */
  berth: Berth
  /** `localhost:PORT` of the registry. */
  host: string
  setPassword(password: string): Promise<void>
}

/** The user `ann` of Berth's own accounts. */
async function startServe(site: DockerSite): Promise<Setup> {
  const berth = await site.start({ env: { BERTH_ADMIN_PASSWORD: 'a-password-for-admin' } })
  await administer(berth, ['user', 'add', 'ann', '--password-stdin'], FIRST)
  return {
    berth,
    host: `localhost:${berth.port}`,
    setPassword: async (password) => {
      await administer(berth, ['user', 'passwd', 'ann', '--password-stdin'], password)
    },
  }
}

/** The user `ann` of docker_auth's file, and a registry that is not Berth. */
async function startAuth(site: DockerSite, args: readonly string[] = []): Promise<Setup> {
  const folder = join(site.folder, `auth-${args.length}`)
  mkdirSync(folder)
  const pair = await makePair(folder)
  const port = await freePort()
  const file = join(folder, 'auth_config.yml')
  const write = async (password: string) => {
    const hash = await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })
    const config = `
server: {addr: ":${port}", certificate: "${pair.certificate}", key: "${pair.key}"}
token: {issuer: "${ISSUER}", expiration: 900}
users: {"ann": {password: "${hash}"}}
acl: [{match: {account: "ann"}, actions: ["*"]}]
`
    writeFileSync(file, config)
  }
  await write(FIRST)
  const berth = await site.start({ verb: 'auth', args: [file, ...args] })
  const realm = `https://localhost:${port}/auth`
  const token = { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: pair.certificate }
  const registry = await startDebianRegistry({ token })
  site.own(registry)
  return {
    berth,
    host: registry.host,
    setPassword: async (password) => {
      await write(password)
      process.kill(berth.pid, 'SIGHUP')
      for (let tries = 0; !berth.log().includes('read again and is in force'); tries++) {
        if (tries === 1800) throw new Error(`no reload:\n${berth.log()}`)
        await Bun.sleep(50)
      }
    },
  }
}

const ways = [
  ['berth serve', startServe],
  [
    'berth auth --data DIR',
    async (site: DockerSite) => {
      const data = join(site.folder, 'auth-data')
      const setup = await startAuth(site, ['--data', data])
      return { ...setup, berth: { ...setup.berth, dataDirectory: data } }
    },
  ],
] as const

describeWith(
  ['docker', 'dockerd', 'busybox', 'docker-registry', 'openssl', 'skopeo', 'podman'],
  'docker login with an identity token',
  () => {
    let site: DockerSite

    beforeAll(async () => {
      site = await openDockerSite()
    })

    afterAll(async () => {
      if (site === undefined) return
      await podman('rmi', '--all', '--force')
      await site.dispose()
    })

    const podman = (...args: string[]): Promise<Ended> => {
      const storage = ['root', 'runroot', 'tmpdir'].flatMap((name) => [`--${name}`, join(site.folder, 'podman', name)])
      return run(['podman', ...storage, '--storage-driver', 'vfs', '--log-level', 'error', ...args], {
        env: { ...podmanEnvironment(join(site.folder, 'podman')), XDG_RUNTIME_DIR: site.folder },
      })
    }

    for (const [way, start] of ways) {
      describe(way, () => {
        let setup: Setup
        let ann: DockerUser
        let image = ''
        let authFile = ''

        beforeAll(async () => {
          setup = await start(site)
          ann = site.user()
          image = `${setup.host}/team/app:1`
          authFile = ann.configFile
        })

        /** What docker says of a push and a pull. */
        const attempts = async () => {
          const [push, pull] = [await ann.push(image), await ann.pull(image)]
          return { push: { code: push.code, stderr: push.stderr }, pull: { code: pull.code, stderr: pull.stderr } }
        }
        const fine = { push: { code: 0, stderr: '' }, pull: { code: 0, stderr: '' } }
        const ended = () => ({
          push: { code: 1, stderr: ENDED },
          pull: {
            code: 1,
            stderr: `Error response from daemon: Head "http://${setup.host}/v2/team/app/manifests/1": ${ENDED}`,
          },
        })
        const inspect = () =>
          run(['skopeo', 'inspect', '--raw', '--authfile', authFile, '--tls-verify=false', `docker://${image}`])
        const podmanPull = () => podman('pull', '--quiet', '--authfile', authFile, '--tls-verify=false', image)

        test('after a login docker keeps the token, and not the password', async () => {
          expect(await ann.login(setup.host, 'ann', FIRST)).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
          expect(ann.stored(setup.host)).toEqual({
            user: 'ann',
            password: '',
            identityToken: expect.stringMatching(SECRET),
          })
          const text = readFileSync(authFile, 'utf8')
          expect([FIRST, btoa(`ann:${FIRST}`)].filter((secret) => text.includes(secret))).toEqual([])
        })

        test('push and pull work with it', async () => {
          expect(await attempts()).toEqual(fine)
        })

        test('skopeo reads and writes with the file of docker', async () => {
          const raw = await inspect()
          expect({ code: raw.code, stderr: raw.stderr }).toEqual({ code: 0, stderr: '' })
          expect(JSON.parse(raw.stdout).config.digest).toMatch(/^sha256:/)
          const [from, to] = [`docker://${image}`, `docker://${setup.host}/team/copy:1`]
          const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
          expect(await run(['skopeo', 'copy', '--authfile', authFile, ...plain, from, to])).toMatchObject({ code: 0 })
        })

        test('podman pulls and pushes with the file of docker', async () => {
          expect(await podmanPull()).toMatchObject({ code: 0 })
          const push = ['push', '--authfile', authFile, '--tls-verify=false', image]
          expect(await podman(...push, `docker://${setup.host}/team/podman:1`)).toMatchObject({ code: 0 })
        })

        test('revoked, it lets nobody push or pull, and every client says what to do', async () => {
          const tokens = await listTokens(setup.berth, 'refresh')
          expect(tokens).toMatchObject([{ account: 'ann', kind: 'refresh', name: 'docker' }])
          await administer(setup.berth, ['token', 'revoke', tokens[0]?.id ?? ''])
          expect(await attempts()).toEqual(ended())
          for (const refused of [await inspect(), await podmanPull()]) {
            expect(refused.code).not.toBe(0)
            expect(refused.stderr).toContain('invalid username/password: unauthorized: the identity token is not valid')
          }
        })

        test('after another login it works again', async () => {
          expect(await ann.login(setup.host, 'ann', FIRST)).toMatchObject({ code: 0 })
          expect(await attempts()).toEqual(fine)
        })

        test('a new password ends it', async () => {
          await setup.setPassword(SECOND)
          expect(await attempts()).toEqual(ended())
          expect(await ann.login(setup.host, 'ann', FIRST)).toMatchObject({ code: 1 })
          expect(await ann.login(setup.host, 'ann', SECOND)).toMatchObject({ code: 0 })
          expect(await attempts()).toEqual(fine)
        })
      })
    }

    test('berth auth without --data hands out none: docker keeps the password, as before', async () => {
      const { host } = await startAuth(site)
      const ann = site.user()
      expect(await ann.login(host, 'ann', FIRST)).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
      expect(ann.stored(host)).toEqual({ user: 'ann', password: FIRST, identityToken: undefined })
      expect(await ann.push(`${host}/team/app:1`)).toMatchObject({ code: 0, stderr: '' })
    })
  },
)
