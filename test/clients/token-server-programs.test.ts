import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makePair } from '../certificates.ts'
import { freePort } from '../free-port.ts'
import { describeWith, shell } from '../programs.ts'
import type { Berth } from '../start-berth.ts'
import { DENIED, type DockerSite, type DockerUser, openDockerSite } from './docker-site.ts'

/**
 * The second document's token server asks programs: who somebody is (`ext_auth`), and for each scope, with the JSON that it
 * shows, what they may do (`ext_authz`).
 */
const PASSWORD = 'pass word: "with" $igns'

const KNOWS = `#!/bin/sh
read -r account password
case $account in
  user) ;;
  reader) labels='{"labels": {"may": ["read"]}}' ;;
  fault) exit 3 ;;
  *) exit 2 ;;
esac
[ "$password" = '${PASSWORD}' ] || exit 1
echo "$labels"
`

/** It is asked for a whole scope, and grants all of it or nothing. */
const decides = (log: string) => `#!/bin/sh
request=$(cat)
echo "$request" >> '${log}'
echo "$request" | jq -e '
  if .Name == "fault" then halt_error(3)
  elif .Account == "user" then true
  elif .Name == "secret" then false
  else .Actions == ["pull"] and (.Labels.may // [] | index("read")) != null
  end' > /dev/null
`

describeWith(['docker', 'dockerd', 'busybox', 'openssl', 'curl', 'jq'], 'ext_auth and ext_authz', () => {
  let site: DockerSite
  let berth: Berth
  let host = ''
  let realm = ''
  let requests = ''
  let user: DockerUser
  let reader: DockerUser

  beforeAll(async () => {
    site = await openDockerSite()
    requests = join(site.folder, 'requests')
    const script = (name: string, text: string) => {
      const path = join(site.folder, name)
      writeFileSync(path, text, { mode: 0o755 })
      return path
    }
    const pair = await makePair(site.folder)
    const port = await freePort()
    realm = `https://localhost:${port}/auth`
    berth = await site.start({
      authConfig: `
server: {addr: ":${port}", certificate: "${pair.certificate}", key: "${pair.key}"}
token: {issuer: "Auth Service", expiration: 900}
ext_auth: {command: "${script('knows', KNOWS)}"}
ext_authz: {command: "${script('decides', decides(requests))}"}
`,
      env: {
        REGISTRY_AUTH: 'token',
        REGISTRY_AUTH_TOKEN_REALM: realm,
        REGISTRY_AUTH_TOKEN_SERVICE: 'Docker registry',
        REGISTRY_AUTH_TOKEN_ISSUER: 'Auth Service',
        REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: pair.certificate,
      },
      listeners: 2,
    })
    host = `localhost:${berth.port}`
    user = site.user()
    reader = site.user()
  })

  afterAll(async () => {
    await site?.dispose()
  })

  const asked = (): string[] => (existsSync(requests) ? readFileSync(requests, 'utf8').trimEnd().split('\n') : [])

  test('whom the program does not know, and a wrong password, are refused', async () => {
    for (const [name, password] of [
      ['nobody', PASSWORD],
      ['user', 'wrong'],
    ] as const) {
      expect(await site.user().login(host, name, password)).toMatchObject({
        code: 1,
        stderr: `Error response from daemon: Get "http://${host}/v2/": unauthorized: authentication required\n`,
      })
    }
  })

  test('a fault of the program is no wrong password', async () => {
    expect(await site.user().login(host, 'fault', PASSWORD)).toMatchObject({
      code: 1,
      stderr: `Error response from daemon: Get "http://${host}/v2/": received unexpected HTTP status: 503 Service Unavailable\n`,
    })
  })

  test('whom it knows logs in, for which nobody is asked what they may do', async () => {
    for (const [client, name] of [
      [user, 'user'],
      [reader, 'reader'],
    ] as const) {
      const answer = await client.login(host, name, PASSWORD)
      expect(answer).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
    }
    expect(asked()).toEqual([])
  })

  test('push and pull are asked for one scope each, with the labels of the first program', async () => {
    const image = `${host}/namespace/image-name:tag`
    expect(await user.push(image)).toMatchObject({ code: 0, stderr: '' })
    expect(new Set(asked())).toEqual(
      new Set([
        '{"Account":"user","Type":"repository","Name":"namespace/image-name","Service":"Docker registry","IP":"127.0.0.1","Actions":["pull","push"],"Labels":null}',
      ]),
    )
    expect(await reader.pull(image)).toMatchObject({ code: 0, stderr: '' })
    expect(asked().at(-1)).toBe(
      '{"Account":"reader","Type":"repository","Name":"namespace/image-name","Service":"Docker registry","IP":"127.0.0.1","Actions":["pull"],"Labels":{"may":["read"]}}',
    )
  })

  test('what the second program refuses, docker is denied', async () => {
    for (const name of ['namespace/image-name:other', 'namespace/new-name:tag']) {
      expect(await reader.push(`${host}/${name}`)).toMatchObject({ code: 1, stderr: DENIED })
    }
    const pulled = await reader.pull(`${host}/secret:tag`)
    expect(pulled.code).toBe(1)
    expect(pulled.stderr).toEndWith(DENIED)
  })

  test('a fault of the second program denies nothing for good, and grants nothing', async () => {
    expect(await user.pull(`${host}/fault:tag`)).toMatchObject({
      code: 1,
      stderr: `Error response from daemon: Head "http://${host}/v2/fault/manifests/tag": received unexpected HTTP status: 503 Service Unavailable\n`,
    })
  })

  test('the GET URL of the document asks what it shows, and gets the catalog', async () => {
    const { stdout } = await shell(
      `
      TOKEN=$(curl -s -k -H "authorization: Basic $(printf %s "$CREDENTIALS" | base64 -w 0)" \
        "${realm}?account=user&client_id=docker&offline_token=true&service=Docker+registry&scope=registry:catalog:*" | jq -r .token)
      curl -s -H "Authorization: Bearer $TOKEN" ${berth.url}/v2/_catalog`,
      { env: { CREDENTIALS: `user:${PASSWORD}` } },
    )
    expect(stdout).toBe('{"repositories":["namespace/image-name"]}\n')
    expect(asked().at(-1)).toBe(
      '{"Account":"user","Type":"registry","Name":"catalog","Service":"Docker registry","IP":"127.0.0.1","Actions":["*"],"Labels":null}',
    )
  })

  test('no password is in the log', () => {
    expect(berth.log()).not.toContain(PASSWORD.slice(0, 9))
  })
})
