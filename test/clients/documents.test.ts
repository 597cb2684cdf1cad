import { afterAll, beforeAll, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Docker, type Dockerd, startDockerd } from '../dockerd.ts'
import { buildImage, expectedSums, importBase } from '../image.ts'
import { describeWith, type Ended, must, program, shell } from '../programs.ts'
import type { Berth } from '../start-berth.ts'
import {
  MAKE_CERTIFICATE,
  prepareSite,
  type Site,
  scriptFor,
  startApart,
  startTogether,
  USERS,
} from './first-document.ts'
import { readExchange, readHead, refusalHead, sha256 } from './http-exchange.ts'

/** Layers of the image that is pushed first: one is over 100 MB. */
const LAYERS = [70_000, 105_000_000, 3_000_000]
const SMALL = [5_000]

const ways = [
  ['one process in place of both containers', startTogether],
  ['a process for the registry and one for the token server', startApart],
] as const

for (const [way, start] of ways) {
  describeWith(
    ['docker', 'dockerd', 'busybox', 'openssl', 'htpasswd', 'curl', 'jq'],
    `the first document, ${way}`,
    () => {
      let site: Site
      let berths: Berth[] = []
      let dockerd: Dockerd | undefined
      let docker: Docker
      let image = ''
      let digest = ''

      beforeAll(async () => {
        site = await prepareSite()
        image = site.adapt('localhost:5000/admin-image:tag1')
        dockerd = await startDockerd()
        docker = dockerd.client()
        await importBase(docker)
        await buildImage(docker, 'centos:7', LAYERS, 'centos')
        await buildImage(docker, 'small:1', SMALL, 'small')
      })

      afterAll(async () => {
        for (const berth of berths) await berth.dispose()
        await dockerd?.dispose()
        site.dispose()
      })

      const sh = (script: string): Promise<Ended> => shell(site.adapt(script), { env: docker.env })
      const login = (user: keyof typeof USERS, password: string = USERS[user].password) =>
        sh(`printf %s '${password}' | docker login --username ${user} --password-stdin localhost:5000`)

      test('htpasswd makes such hashes, and accepts those of the document', async () => {
        for (const [user, { password, hash }] of Object.entries(USERS)) {
          const made = await sh(`htpasswd -nbB ${user} ${password} | cut -d: -f2`)
          expect(made.stdout.trim()).toMatch(/^\$2y\$05\$[./A-Za-z0-9]{53}$/)
          const file = join(site.folder, `htpasswd-${user}`)
          writeFileSync(file, `${user}:${hash}\n`)
          await must([program('htpasswd'), '-vb', file, user, password])
        }
      })

      test('openssl makes the pair, and both services start with the files of the document', async () => {
        expect((await sh(MAKE_CERTIFICATE)).code).toBe(0)
        berths = await start(site)
        expect((await sh('curl -s -o /dev/null -w "%{http_code}" http://localhost:5000/v2/')).stdout).toBe('401')
        expect((await sh('curl -s -k https://localhost:5001/')).stdout).toBe('<h1>Auth Service</h1>\n')
      })

      test('a wrong password is refused at login', async () => {
        const { code, stderr } = await login('admin', 'wrong-passwd')
        expect(code).toBe(1)
        expect(stderr).toContain(
          site.adapt(
            'Error response from daemon: Get "http://localhost:5000/v2/": unauthorized: authentication required\n',
          ),
        )
      })

      test('admin logs in', async () => {
        const { code, stdout, stderr } = await login('admin')
        expect({ code, stdout, refused: stderr.includes('Error') }).toEqual({
          code: 0,
          stdout: 'Login Succeeded\n',
          refused: false,
        })
      })

      test('admin pushes an image of several layers, one over 100 MB', async () => {
        expect(await sh('docker tag centos:7 localhost:5000/admin-image:tag1')).toMatchObject({ code: 0 })
        const { code, stdout, stderr } = await sh('docker push localhost:5000/admin-image:tag1')
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        expect(stdout).toStartWith(site.adapt('The push refers to repository [localhost:5000/admin-image]\n'))
        expect(stdout.match(/: Pushed$/gm)).toHaveLength(LAYERS.length + 2)
        digest = /^tag1: digest: (sha256:[a-f0-9]{64}) size: \d+$/m.exec(stdout)?.[1] ?? 'none'
        expect(digest).not.toBe('none')
      })

      test('two more repositories, as the catalog of the document has them', async () => {
        for (const name of ['kana', 'ubuntu']) {
          const pushed = await sh(`docker tag small:1 localhost:5000/${name} && docker push localhost:5000/${name}`)
          expect(pushed).toMatchObject({ code: 0, stderr: '' })
        }
      })

      test('admin pulls it back whole after docker rmi', async () => {
        await docker.must(['rmi', image])
        await docker.must(['rmi', 'centos:7'])
        const { code, stdout } = await sh('docker pull localhost:5000/admin-image:tag1')
        expect(code).toBe(0)
        expect(stdout).toContain(`Digest: ${digest}\n`)
        expect(await docker.must(['run', '--rm', '--network', 'host', image])).toBe(expectedSums(LAYERS, 'centos'))
      })

      test('admin logs out, and is a stranger then', async () => {
        expect(await sh('docker logout localhost:5000')).toMatchObject({
          code: 0,
          stdout: site.adapt('Removing login credentials for localhost:5000\n'),
        })
        const pulled = await sh('docker pull localhost:5000/admin-image:tag1')
        expect(pulled.code).toBe(1)
        expect(pulled.stderr).toBe(
          site.adapt(
            'Error response from daemon: Head "http://localhost:5000/v2/admin-image/manifests/tag1": unauthorized: authentication required\n',
          ),
        )
        const pushed = await sh('docker push localhost:5000/ubuntu')
        expect(pushed).toMatchObject({ code: 1, stderr: 'unauthorized: authentication required\n' })
      })

      test('user01 logs in, pulls, and may not push', async () => {
        expect(await login('user01')).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
        expect((await sh('docker pull localhost:5000/admin-image:tag1')).code).toBe(0)
        await docker.must(['tag', 'small:1', site.adapt('localhost:5000/user01-image:tag1')])
        expect(await sh('docker push localhost:5000/user01-image:tag1')).toMatchObject({
          code: 1,
          stderr: 'denied: requested access to the resource is denied\n',
        })
        expect(await sh('docker push localhost:5000/admin-image:tag1')).toMatchObject({
          code: 1,
          stderr:
            'errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required\n\n',
        })
      })

      test('user02 logs in, and may neither pull nor push', async () => {
        expect(await login('user02')).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
        expect(await sh('docker pull localhost:5000/admin-image:tag1')).toMatchObject({
          code: 1,
          stderr: site.adapt(
            "Error response from daemon: pull access denied for localhost:5000/admin-image, repository does not exist or may require 'docker login': denied: requested access to the resource is denied\n",
          ),
        })
        expect(await sh('docker push localhost:5000/admin-image:tag1')).toMatchObject({
          code: 1,
          stderr: 'denied: requested access to the resource is denied\n',
        })
        expect(await sh('docker logout localhost:5000')).toMatchObject({ code: 0 })
      })

      const refusals = [
        ['the catalog', 'curl -v -s -k localhost:5000/v2/_catalog', 'registry:catalog:*', 145],
        ['the tags', 'curl -v -s -k localhost:5000/v2/admin-image/tags/list', 'repository:admin-image:pull', 154],
        [
          'the manifest',
          'curl -X GET -H "Accept: application/vnd.docker.distribution.manifest.v2+json" -s -D - http://localhost:5000/v2/admin-image/manifests/tag1',
          'repository:admin-image:pull',
          154,
        ],
        [
          'the deletion',
          'curl -v -X DELETE http://localhost:5000/v2/admin-image/manifests/sha256:fe2347002c630d5d61bf2f28f21246ad1c21cc6fd343e70b4cf1e5102f8711a9',
          'repository:admin-image:delete',
          156,
        ],
      ] as const
      for (const [what, command, scope, length] of refusals) {
        test(`without a token curl is refused ${what}, in the words of the document`, async () => {
          const { head, body } = readExchange(await sh(command))
          const [type, name, action] = scope.split(':')
          expect(body).toBe(
            `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"${type}","Class":"","Name":"${name}","Action":"${action}"}]}]}\n`,
          )
          expect(head).toEqual(refusalHead(site.adapt('https://localhost:5001/auth'), scope, length))
        })
      }

      test('the token server answers curl with the token, twice', async () => {
        const { stdout } = await sh(`
        USERNAME="admin"
        PASSWORD="admin-passwd"
        HOST="localhost:5001"
        curl -s -k \
            -u \${USERNAME}:\${PASSWORD} \
            -d "service=Docker registry"  \
            -d "scope=registry:catalog:*"  \
            -d "account=\${USERNAME}"  \
            https://\${HOST}/auth`)
        const { token, access_token, ...rest } = JSON.parse(stdout)
        // Unlike docker_auth's answer it says how long the token lives, so that clients keep it.
        expect(Object.keys(rest).sort()).toEqual(['expires_in', 'issued_at'])
        expect(rest.expires_in).toBe(900)
        expect(access_token).toBe(token)
        const [header = '', payload = ''] = String(token).split('.')
        const claims = decodePart(payload)
        const issued = Number(claims.iat)
        expect(decodePart(header)).toMatchObject({
          typ: 'JWT',
          alg: 'RS256',
          kid: expect.stringMatching(/^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/),
        })
        expect(Object.keys(claims)).toEqual(['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'access'])
        expect(claims).toMatchObject({
          iss: 'Auth Service',
          sub: 'admin',
          aud: 'Docker registry',
          exp: issued + 900,
          nbf: issued - 10,
          access: [{ type: 'registry', name: 'catalog', actions: ['*'] }],
        })
        expect(claims.jti).toMatch(/^[\w-]{10,}$/)
      })

      test('with it curl lists the repositories', async () => {
        const script = scriptFor('registry:catalog:*', 'v2/_catalog', '-s -k', ' | jq')
        expect((await sh(script)).stdout).toBe(
          '{\n  "repositories": [\n    "admin-image",\n    "kana",\n    "ubuntu"\n  ]\n}\n',
        )
      })

      test('and the tags', async () => {
        const script = scriptFor('repository:admin-image:pull', 'v2/admin-image/tags/list', '-s -k', ' | jq')
        expect((await sh(script)).stdout).toBe('{\n  "name": "admin-image",\n  "tags": [\n    "tag1"\n  ]\n}\n')
      })

      const getManifest = scriptFor(
        'repository:admin-image:pull',
        'v2/admin-image/manifests/tag1',
        '-v -H "Accept: application/vnd.docker.distribution.manifest.v2+json"',
      )

      test('and reads the digest off the manifest', async () => {
        const { stdout, stderr } = await sh(getManifest)
        expect(sha256(stdout)).toBe(digest)
        expect(readHead(stderr)).toEqual({
          statusLine: 'HTTP/1.1 200 OK',
          headers: {
            'content-length': String(stdout.length),
            'content-type': 'application/vnd.docker.distribution.manifest.v2+json',
            'docker-content-digest': digest,
            'docker-distribution-api-version': 'registry/2.0',
            etag: `"${digest}"`,
            'x-content-type-options': 'nosniff',
          },
        })
        expect(JSON.parse(stdout)).toMatchObject({
          schemaVersion: 2,
          mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
          config: { mediaType: 'application/vnd.docker.container.image.v1+json' },
        })
        expect(JSON.parse(stdout).layers).toHaveLength(LAYERS.length + 2)
      })

      test('and deletes the image by it: gone for curl and for docker, and for nobody else', async () => {
        const wrongScope = scriptFor(
          'repository:admin-image:pull',
          `v2/admin-image/manifests/${digest}`,
          '-s -o /dev/null -w "%{http_code}" -X DELETE',
        )
        expect((await sh(wrongScope)).stdout).toBe('401')
        const deletion = scriptFor(
          'repository:admin-image:delete',
          `v2/admin-image/manifests/${digest}`,
          '-v -X DELETE',
        )
        const deleted = await sh(deletion)
        expect(deleted.stdout).toBe('')
        expect(readHead(deleted.stderr).statusLine).toBe('HTTP/1.1 202 Accepted')

        const gone = await sh(getManifest)
        expect(readHead(gone.stderr).statusLine).toBe('HTTP/1.1 404 Not Found')
        expect(JSON.parse(gone.stdout).errors[0].code).toBe('MANIFEST_UNKNOWN')
        expect((await login('admin')).code).toBe(0)
        const pulled = await sh('docker pull localhost:5000/admin-image:tag1')
        expect(pulled).toMatchObject({
          code: 1,
          stderr: site.adapt(
            'Error response from daemon: manifest for localhost:5000/admin-image:tag1 not found: manifest unknown: manifest unknown\n',
          ),
        })
        expect((await sh('docker pull localhost:5000/kana')).code).toBe(0)
      })

      test('pushed once more it is whole again', async () => {
        const pushed = await sh('docker push localhost:5000/admin-image:tag1')
        expect(pushed.code).toBe(0)
        expect(pushed.stdout).toContain(`tag1: digest: ${digest} `)
        await docker.must(['rmi', image])
        expect((await sh('docker pull localhost:5000/admin-image:tag1')).code).toBe(0)
        expect(await docker.must(['run', '--rm', '--network', 'host', image])).toBe(expectedSums(LAYERS, 'centos'))
      })

      test('every process ends with exit code 0 on SIGTERM', async () => {
        for (const berth of berths) expect(await berth.stop()).toBe(0)
      })
    },
  )
}

function decodePart(part = ''): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
