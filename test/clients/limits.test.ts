import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Docker, type Dockerd, startDockerd } from '../dockerd.ts'
import { buildImage, importBase } from '../image.ts'
import { describeWith, must } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'

const CONFIG = `version: 0.1
auth: none
immutable:
  - name: releases
    repositories: [team/**]
    tags: ['v*']
quotas:
  - {prefix: full, bytes: 1MB}
  - {prefix: few, tags: 1}
`

describeWith(['docker', 'dockerd', 'busybox'], 'what docker prints of a limit', () => {
  let dockerd: Dockerd | undefined
  let docker: Docker
  let berth: Berth
  let host = ''

  beforeAll(async () => {
    berth = await startBerth({ config: CONFIG })
    host = `localhost:${berth.port}`
    dockerd = await startDockerd()
    docker = dockerd.client()
    await importBase(docker)
    await buildImage(docker, 'one', [9_000], 'one')
    await buildImage(docker, 'two', [8_000], 'two')
  })

  afterAll(async () => {
    await berth?.dispose()
    await dockerd?.dispose()
  })

  async function push(image: string, name: string) {
    await docker.must(['tag', image, `${host}/${name}`])
    const { code, stdout, stderr } = await docker.run(['push', `${host}/${name}`])
    return { code, stdout, stderr }
  }

  test('a tag that is immutable is pushed once, and again as it is, and then refused', async () => {
    const first = await push('one', 'team/app:v1')
    expect(first.code).toBe(0)
    const digest = /digest: (sha256:[a-f0-9]{64})/.exec(first.stdout)?.[1]
    expect((await push('one', 'team/app:v1')).code).toBe(0)
    expect(await push('two', 'team/app:v1')).toMatchObject({
      code: 1,
      stderr: `denied: team/app:v1 is immutable by the rule releases: it stays at ${digest}; push another tag\n`,
    })
    expect((await push('two', 'team/app:latest')).code).toBe(0)
  })

  test('an image that is larger than its quota is refused, and says by how much', async () => {
    const { code, stderr } = await push('one', 'full/app:v1')
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^denied: the quota of full is used up: 0 B of 976\.5 KiB are used, and this needs \d\S* (?:[KM]i)?B more\n$/,
    )
  })

  test('so is a tag too many', async () => {
    expect((await push('one', 'few/app:v1')).code).toBe(0)
    expect(await push('one', 'few/app:v2')).toMatchObject({
      code: 1,
      stderr: 'denied: the quota of few is used up: 1 of 1 tags are there, and this makes 1 more\n',
    })
  })

  test('the operator sees both, and gives more room', async () => {
    const berthCommand = (...args: string[]) => must([BERTH, ...args, '--data', berth.dataDirectory])
    expect(await berthCommand('immutable', 'test', 'team/app:v1')).toContain('by the rule releases (configuration)')
    expect(await berthCommand('quota', 'ls')).toMatch(/^few +\S+ \S+ +1 of 1 \(100%\)/m)
    await berthCommand('quota', 'set', 'few/app', '--tags', '9')
    expect(await berthCommand('quota', 'show', 'few/app')).toMatch(/^few\/app +\S+ \S+ +1 of 9 \(11%\)/m)
  })
})
