import { afterAll, beforeAll, expect, test } from 'bun:test'
import { GROUPS, PEOPLE, READER, type Slapd, startSlapd } from '../../src/auth/ldap.fixture.ts'
import { describeWith } from '../programs.ts'
import type { Berth } from '../start-berth.ts'
import { DENIED, DENIED_AFTER_LAYERS, type DockerSite, type DockerUser, openDockerSite } from './docker-site.ts'

/** A directory's people and groups, through `ldap_auth` of docker_auth's file, into rules on labels. */
const PEOPLE_OF = { ann: ['Developers', 'Release-Managers'], bob: ['Developers'], eve: [] } as const

type Name = keyof typeof PEOPLE_OF

describeWith(['docker', 'dockerd', 'busybox', 'slapd', 'openssl'], 'users and groups of a directory', () => {
  let site: DockerSite
  let slapd: Slapd | undefined
  let berth: Berth
  let host = ''
  const clients = new Map<Name, DockerUser>()

  beforeAll(async () => {
    slapd = await startSlapd()
    const groups = new Map<string, Name[]>()
    for (const name of Object.keys(PEOPLE_OF) as Name[]) {
      await slapd.put({ uid: name, password: `password-of-${name}` })
      for (const group of PEOPLE_OF[name]) groups.set(group, [...(groups.get(group) ?? []), name])
    }
    for (const [group, members] of groups) await slapd.putGroup(group, members)
    site = await openDockerSite()
    berth = await site.start({ authConfig: authConfig(slapd), listeners: 1 })
    host = `localhost:${berth.port}`
  })

  afterAll(async () => {
    await site?.dispose()
    await slapd?.close()
  })

  const authConfig = ({ ldaps, ca, passwordFile }: Slapd) => `
server: {addr: "127.0.0.1:0"}
token: {issuer: "Auth Service", expiration: 900}
ldap_auth:
  addr: "127.0.0.1:${ldaps}"
  tls: always
  ca_certificate: "${ca}"
  bind_dn: "${READER}"
  bind_password_file: "${passwordFile}"
  base: "${PEOPLE}"
  filter: "(&(uid=\${account})(objectClass=inetOrgPerson))"
  labels:
    groups: {attribute: memberOf, parse_cn: true, lower_case: true}
acl:
  - match: {labels: {groups: "release-managers"}, name: "release/*"}
    actions: ["pull", "push"]
  - match: {labels: {groups: "developers"}, name: "release/*"}
    actions: ["pull"]
  - match: {account: "/.+/", name: "\${labels:groups}/*"}
    actions: ["pull", "push"]
`

  const clientOf = (name: Name): DockerUser => {
    const client = clients.get(name) ?? site.user()
    clients.set(name, client)
    return client
  }

  test('a wrong password, no password and a name that is not in the directory are refused', async () => {
    const attempts = [
      ['ann', 'wrong'],
      ['nobody', 'password-of-ann'],
      ['*', 'password-of-ann'],
      [GROUPS, 'password-of-ann'],
    ] as const
    for (const [name, password] of attempts) {
      expect(await site.user().login(host, name, password)).toMatchObject({
        code: 1,
        stderr: `Error response from daemon: Get "http://${host}/v2/": unauthorized: authentication required\n`,
      })
    }
  })

  test('everybody else logs in with the password of the directory', async () => {
    for (const name of Object.keys(PEOPLE_OF) as Name[]) {
      const answer = await clientOf(name).login(host, name, `password-of-${name}`)
      expect(answer).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
    }
  })

  test('release managers push releases; developers pull them; others see nothing', async () => {
    const image = `${host}/release/app:1`
    expect(await clientOf('ann').push(image)).toMatchObject({ code: 0, stderr: '' })
    expect(await clientOf('bob').pull(image)).toMatchObject({ code: 0, stderr: '' })
    expect(await clientOf('bob').push(`${host}/release/app:2`)).toMatchObject({ code: 1, stderr: DENIED_AFTER_LAYERS })
    const refused = await clientOf('eve').pull(image)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toEndWith(DENIED)
  })

  test('a group pushes under its own name', async () => {
    expect(await clientOf('bob').push(`${host}/developers/app:1`)).toMatchObject({ code: 0, stderr: '' })
    expect(await clientOf('ann').pull(`${host}/developers/app:1`)).toMatchObject({ code: 0, stderr: '' })
    expect(await clientOf('eve').push(`${host}/developers/app:2`)).toMatchObject({ code: 1, stderr: DENIED })
  })

  test('while the directory is away nobody gets in, and nobody is told that the password is wrong', async () => {
    await slapd?.stop()
    const away = await site.user().login(host, 'ann', 'password-of-ann')
    expect(away).toMatchObject({
      code: 1,
      stderr: `Error response from daemon: Get "http://${host}/v2/": received unexpected HTTP status: 503 Service Unavailable\n`,
    })

    await slapd?.start()
    expect(await site.user().login(host, 'ann', 'password-of-ann')).toMatchObject({ code: 0 })
  })
})
