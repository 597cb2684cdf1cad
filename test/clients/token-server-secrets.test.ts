import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { describeWith } from '../programs.ts'
import type { Berth } from '../start-berth.ts'
import {
  administer,
  DENIED,
  DENIED_AFTER_LAYERS,
  type DockerSite,
  type DockerUser,
  listTokens,
  openDockerSite,
} from './docker-site.ts'

/** Personal access tokens and robots: secrets that stand in for a password, and may do less than their owner. */

describeWith(['docker', 'dockerd', 'busybox'], 'docker login with a token for a password', () => {
  let site: DockerSite
  let berth: Berth
  let host = ''

  beforeAll(async () => {
    site = await openDockerSite()
    berth = await site.start({ env: { BERTH_ADMIN_PASSWORD: 'a-password-for-admin' } })
    host = `localhost:${berth.port}`
    const admin = site.user()
    await admin.login(host, 'admin', 'a-password-for-admin')
    for (const name of ['team/app', 'team/tools', 'other/app']) {
      expect(await admin.push(`${host}/${name}:1`)).toMatchObject({ code: 0, stderr: '' })
    }
    await administer(berth, ['user', 'add', 'ann', '--password-stdin'], 'a-password-for-ann')
  })

  afterAll(async () => {
    await site?.dispose()
  })

  const refusedPull = (name: string) =>
    `Error response from daemon: pull access denied for ${host}/${name}, repository does not exist or may require 'docker login': ${DENIED}`
  const unauthorized = (name: string) =>
    `Error response from daemon: Head "http://${host}/v2/${name}/manifests/1": unauthorized: authentication required\n`
  const loginRefused = () =>
    `Error response from daemon: Get "http://${host}/v2/": unauthorized: authentication required\n`

  describe('a personal access token', () => {
    let client: DockerUser
    let secret = ''

    test('logs its owner in, and is itself what docker keeps: no refresh token outlives it', async () => {
      client = site.user()
      const limits = ['--scope', 'repository:team/app:pull,push', '--scope', 'repository:team/tools:pull']
      secret = (await administer(berth, ['token', 'create', 'ann', '--name', 'laptop', ...limits])).trim()
      expect(secret).toMatch(/^berth_p[0-9A-Za-z]{49}$/)
      expect(await client.login(host, 'ann', secret)).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
      expect(client.stored(host)).toEqual({ user: 'ann', password: secret, identityToken: undefined })
    })

    test('is nobody else', async () => {
      expect(await site.user().login(host, 'admin', secret)).toMatchObject({ code: 1, stderr: loginRefused() })
    })

    test('pushes and pulls within its scope', async () => {
      expect(await client.push(`${host}/team/app:2`)).toMatchObject({ code: 0, stderr: '' })
      expect(await client.pull(`${host}/team/app:2`)).toMatchObject({ code: 0, stderr: '' })
      expect(await client.pull(`${host}/team/tools:1`)).toMatchObject({ code: 0, stderr: '' })
    })

    test('and not outside, though its owner may', async () => {
      expect(await client.push(`${host}/team/tools:2`)).toMatchObject({ code: 1, stderr: DENIED_AFTER_LAYERS })
      expect(await client.pull(`${host}/other/app:1`)).toMatchObject({ code: 1, stderr: refusedPull('other/app') })
      const owner = site.user()
      expect(await owner.login(host, 'ann', 'a-password-for-ann')).toMatchObject({ code: 0 })
      expect(await owner.pull(`${host}/other/app:1`)).toMatchObject({ code: 0, stderr: '' })
    })

    test('revoked, it is over at once', async () => {
      const [token] = await listTokens(berth, 'personal')
      expect(token).toMatchObject({ account: 'ann', name: 'laptop' })
      await administer(berth, ['token', 'revoke', token?.id ?? ''])
      expect(await client.pull(`${host}/team/app:1`)).toMatchObject({ code: 1, stderr: unauthorized('team/app') })
      expect(await client.login(host, 'ann', secret)).toMatchObject({ code: 1, stderr: loginRefused() })
      const push = await client.push(`${host}/team/app:3`)
      expect(push.code).toBe(1)
      // It logs in once for each layer, all at the same time: the last of them may come too often.
      expect(push.stderr).toMatch(/^(?:unauthorized: authentication required|toomanyrequests: too many failed logins)/)
    })
  })

  describe('a robot', () => {
    let client: DockerUser
    let secret = ''

    test('logs in by its name and token', async () => {
      client = site.user()
      const grants = ['--grant', 'repository:ci/**:pull,push', '--grant', 'repository:team/*:pull']
      secret = (await administer(berth, ['robot', 'add', 'ci', ...grants])).trim()
      expect(await client.login(host, 'robot-ci', secret)).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' })
      expect(client.stored(host)).toEqual({ user: 'robot-ci', password: secret, identityToken: undefined })
    })

    test('does what it was granted, and no more', async () => {
      expect(await client.push(`${host}/ci/deep/app:1`)).toMatchObject({ code: 0, stderr: '' })
      expect(await client.pull(`${host}/ci/deep/app:1`)).toMatchObject({ code: 0, stderr: '' })
      expect(await client.pull(`${host}/team/app:1`)).toMatchObject({ code: 0, stderr: '' })
      expect(await client.push(`${host}/team/app:3`)).toMatchObject({ code: 1, stderr: DENIED_AFTER_LAYERS })
      expect(await client.pull(`${host}/other/app:1`)).toMatchObject({ code: 1, stderr: refusedPull('other/app') })
    })

    test('disabled it may do nothing, and enabled again all it could', async () => {
      await administer(berth, ['robot', 'set', 'ci', '--disable'])
      expect(await client.pull(`${host}/team/app:1`)).toMatchObject({ code: 1, stderr: unauthorized('team/app') })
      await administer(berth, ['robot', 'set', 'ci', '--enable'])
      expect(await client.pull(`${host}/team/app:1`)).toMatchObject({ code: 0, stderr: '' })
    })

    test('removed, it is over at once', async () => {
      await administer(berth, ['robot', 'rm', 'ci'])
      expect(await client.pull(`${host}/team/app:1`)).toMatchObject({ code: 1, stderr: unauthorized('team/app') })
      expect(await client.login(host, 'robot-ci', secret)).toMatchObject({ code: 1, stderr: loginRefused() })
    })
  })
})
