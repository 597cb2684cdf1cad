import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Docker, type Dockerd, startDockerd } from '../dockerd.ts'
import { freePort } from '../free-port.ts'
import { buildImage, expectedSums, importBase } from '../image.ts'
import { describeWith, must, shell } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'

/**
 * Another team's notes: registry and token server share one pair of the machine's host name (no SAN: only -k and dockerd's
 * rule for 127.0.0.0/8 accept it, as there), the token by a GET URL, the errors they met, and htpasswd over TLS instead.
 */
const MAKE_CERTIFICATE = `
mkdir -p certs
openssl req \\
   -newkey rsa:4096 -nodes -sha256 -keyout certs/auth-srv.key \\
   -x509 -days 365 -out certs/auth-srv.crt -subj /CN=localhost
`

const TOKEN_QUERY = 'account=user&client_id=docker&offline_token=true&service=Docker+registry&scope=registry:catalog:*'

describeWith(['openssl', 'htpasswd', 'curl', 'jq', 'docker', 'dockerd', 'busybox'], 'the second document', () => {
  let folder = ''
  let dockerd: Dockerd | undefined
  let docker: Docker
  const berths: Berth[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-second-'))
    await must(['bash', '-c', MAKE_CERTIFICATE], { cwd: folder })
    dockerd = await startDockerd()
    docker = dockerd.client()
    await importBase(docker)
    await buildImage(docker, 'origin-image', [40_000, 2_000_000], 'second')
  })

  afterAll(async () => {
    for (const berth of berths) await berth.dispose()
    await dockerd?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const start = async (...options: Parameters<typeof startBerth>) => {
    const berth = await startBerth(...options)
    berths.push(berth)
    return berth
  }
  const sh = (script: string) => shell(script, { cwd: folder, env: docker.env })
  const login = (user: string, password: string, host: string) =>
    sh(`printf %s '${password}' | docker login -u ${user} --password-stdin ${host}`)

  const authConfig = async (port: number, pair = 'certs/auth-srv') => {
    const hash = (await must(['bash', '-c', 'htpasswd -nbB user password | cut -d: -f2'])).trim()
    return [
      `server: {addr: ":${port}", certificate: "${folder}/${pair}.crt", key: "${folder}/${pair}.key"}`,
      'token: {issuer: "Auth Service", expiration: 900}',
      `users: {"user": {password: "${hash}"}}`,
      'acl: [{match: {account: "user"}, actions: ["*"]}]',
    ].join('\n')
  }
  const registry = (tokenPort: number, bundle = 'certs/auth-srv.crt') => ({
    REGISTRY_AUTH: 'token',
    REGISTRY_AUTH_TOKEN_REALM: `https://localhost:${tokenPort}/auth`,
    REGISTRY_AUTH_TOKEN_SERVICE: 'Docker registry',
    REGISTRY_AUTH_TOKEN_ISSUER: 'Auth Service',
    REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: `${folder}/${bundle}`,
  })
  const tls = () => ({
    REGISTRY_HTTP_TLS_CERTIFICATE: `${folder}/certs/auth-srv.crt`,
    REGISTRY_HTTP_TLS_KEY: `${folder}/certs/auth-srv.key`,
  })

  let registryPort = 0
  let tokenPort = 0

  test('registry and token server start with one shared pair', async () => {
    tokenPort = await freePort()
    await start({ verb: 'auth', authConfig: await authConfig(tokenPort) })
    const berth = await start({ env: { ...registry(tokenPort), ...tls() } })
    registryPort = berth.port
    expect(berth.url).toBe(`https://127.0.0.1:${registryPort}`)
  })

  test('the GET URL with the header of `echo -n user:password | base64` gives a token, and that an empty catalog', async () => {
    const { code, stdout } = await sh(`
      TOKEN=$(curl -s -k -H "authorization: Basic $(echo -n user:password | base64)" \
        "https://localhost:${tokenPort}/auth?${TOKEN_QUERY}" | jq -r .token)
      curl -s -k -H "Authorization: Bearer $TOKEN" https://localhost:${registryPort}/v2/_catalog`)
    expect({ code, stdout }).toEqual({ code: 0, stdout: '{"repositories":[]}\n' })
  })

  test('`echo` without -n encodes the line break too, which is another password', async () => {
    const { stdout } = await sh(`
      curl -s -k -i --http1.1 -H "authorization: Basic $(echo user:password | base64)" "https://localhost:${tokenPort}/auth?${TOKEN_QUERY}"`)
    expect(stdout).toStartWith('HTTP/1.1 401 Unauthorized\r\n')
    expect(stdout).toMatch(/^www-authenticate: Basic realm="Auth Service"\r$/im)
    expect(stdout).toEndWith('\r\n\r\nAuth failed.\n')
  })

  test('docker logs in, pushes with namespace and tag, and pulls, all over TLS', async () => {
    const host = `localhost:${registryPort}`
    expect(await login('user', 'password', host)).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
    const target = `${host}/namespace/image-name:tag`
    expect(await sh(`docker tag origin-image ${target} && docker push ${target}`)).toMatchObject({
      code: 0,
      stderr: '',
    })
    await docker.must(['rmi', target])
    expect((await sh(`docker pull ${target}`)).code).toBe(0)
    const sums = await docker.must(['run', '--rm', '--network', 'host', target])
    expect(sums).toBe(expectedSums([40_000, 2_000_000], 'second'))
  })

  test('minor error: a wrong password', async () => {
    const { code, stderr } = await login('user', 'wrong', `localhost:${registryPort}`)
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `Error response from daemon: Get "https://localhost:${registryPort}/v2/": unauthorized: authentication required\n`,
    })
  })

  test('error 1: a token of another key is refused, and the log says why', async () => {
    await must(['bash', '-c', MAKE_CERTIFICATE.replaceAll('certs', 'other')], { cwd: folder })
    const berth = await start({ env: registry(tokenPort, 'other/auth-srv.crt') })
    const { code, stderr } = await login('user', 'password', `localhost:${berth.port}`)
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `Error response from daemon: login attempt to http://localhost:${berth.port}/v2/ failed with status: 401 Unauthorized\n`,
    })
    const said = /error authorizing context: (?:token signed by untrusted key|x5c: no valid chain)/
    // Lines about requests are written a moment later, many at once.
    for (let tries = 0; tries < 1800 && !said.test(berth.log()); tries++) await Bun.sleep(50)
    expect(berth.log()).toMatch(said)
  })

  test('401 insufficient_scope: a token for another scope', async () => {
    const { stdout } = await sh(`
      TOKEN=$(curl -s -k -u user:password "https://localhost:${tokenPort}/auth?account=user&service=Docker+registry&scope=repository:a:pull" | jq -r .token)
      curl -s -k -i --http1.1 -H "Authorization: Bearer $TOKEN" https://localhost:${registryPort}/v2/b/tags/list`)
    expect(stdout).toStartWith('HTTP/1.1 401 Unauthorized\r\n')
    expect(stdout).toContain(
      `Bearer realm="https://localhost:${tokenPort}/auth",service="Docker registry",scope="repository:b:pull",error="insufficient_scope"\r\n`,
    )
  })

  test('without token auth: htpasswd over TLS with the environment of the document', async () => {
    mkdirSync(join(folder, 'auth'))
    expect((await sh('htpasswd -Bbn testuser testpassword > auth/htpasswd')).code).toBe(0)
    const berth = await start({
      env: {
        ...tls(),
        REGISTRY_AUTH: 'htpasswd',
        REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
        REGISTRY_AUTH_HTPASSWD_PATH: `${folder}/auth/htpasswd`,
      },
    })
    const host = `localhost:${berth.port}`
    const refused = await sh(`curl -s -k -i --http1.1 https://${host}/v2/`)
    expect(refused.stdout).toMatch(/^www-authenticate: Basic realm="Registry Realm"\r$/im)
    expect(await login('testuser', 'wrong', host)).toMatchObject({
      code: 1,
      stderr: `Error response from daemon: login attempt to https://${host}/v2/ failed with status: 401 Unauthorized\n`,
    })
    expect(await login('testuser', 'testpassword', host)).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
    const target = `${host}/image-name`
    expect(await sh(`docker tag origin-image ${target} && docker push ${target}`)).toMatchObject({
      code: 0,
      stderr: '',
    })
    await docker.must(['rmi', target])
    expect((await sh(`docker pull ${target}`)).code).toBe(0)
    await docker.must(['rmi', target])
    expect((await sh(`docker logout ${host}`)).code).toBe(0)
    expect((await sh(`docker pull ${target}`)).code).toBe(1)
    const catalog = await sh(`curl -s -k -u testuser:testpassword https://${host}/v2/_catalog`)
    expect(catalog.stdout).toBe('{"repositories":["image-name"]}\n')
  })
})
