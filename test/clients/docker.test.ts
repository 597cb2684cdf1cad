import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Docker, type Dockerd, startDockerd } from '../dockerd.ts'
import { buildImage, expectedSums, importBase } from '../image.ts'
import { describeWith, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'

const PASSWORD = 'a-password-for-admin'
const MANY = Array.from({ length: 14 }, (_, index) => 50_000 + index * 150_000)

/** `docker run` of an image made by `buildImage` printed the sums of these layers. */
async function expectWhole(docker: Docker, name: string, sizes: readonly number[], seed: string): Promise<void> {
  expect(await docker.must(['run', '--rm', '--network', 'host', name])).toBe(expectedSums(sizes, seed))
}

function digestIn(output: string): string {
  return /digest: (sha256:[a-f0-9]{64}) size/i.exec(output)?.[1] ?? 'no digest'
}

describeWith(['docker', 'dockerd', 'busybox'], 'docker against berth serve without a configuration', () => {
  let dockerd: Dockerd | undefined
  let docker: Docker
  let berth: Berth
  let host = ''

  beforeAll(async () => {
    berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
    host = `localhost:${berth.port}`
    dockerd = await startDockerd()
    docker = dockerd.client()
    await importBase(docker)
    await buildImage(docker, 'many', MANY, 'many')
    await docker.must(['login', '-u', 'admin', '--password-stdin', host], { stdin: PASSWORD })
  })

  afterAll(async () => {
    await berth?.dispose()
    await dockerd?.dispose()
  })

  let digest = ''

  test('an image of many layers is pushed in parallel, and pulled whole', async () => {
    const name = `${host}/team/many:1`
    await docker.must(['tag', 'many', name])
    const output = await docker.must(['push', name])
    expect(output.match(/: Pushed$/gm)).toHaveLength(MANY.length + 2)
    digest = digestIn(output)
    await docker.must(['rmi', name, 'many'])
    await docker.must(['pull', name])
    await expectWhole(docker, name, MANY, 'many')
  })

  test('it is pulled by its digest', async () => {
    const name = `${host}/team/many@${digest}`
    await docker.must(['rmi', '--force', `${host}/team/many:1`])
    expect(await docker.must(['pull', name])).toContain(`Digest: ${digest}\n`)
    await expectWhole(docker, name, MANY, 'many')
    await docker.must(['tag', name, 'many'])
  })

  test('a second push of it uploads nothing', async () => {
    const name = `${host}/team/many:2`
    await docker.must(['tag', 'many', name])
    const output = await docker.must(['push', name])
    expect(output.match(/: Layer already exists$/gm)).toHaveLength(MANY.length + 2)
    expect(digestIn(output)).toBe(digest)
  })

  test('a push to a second repository mounts its layers', async () => {
    const name = `${host}/other/copy:1`
    await docker.must(['tag', 'many', name])
    const output = await docker.must(['push', name])
    expect(output.match(/: Mounted from team\/many$/gm)).toHaveLength(MANY.length + 2)
    expect(digestIn(output)).toBe(digest)
    await docker.must(['rmi', name])
    await docker.must(['pull', name])
    await expectWhole(docker, name, MANY, 'many')
  })

  test('a tag moves to another image', async () => {
    await buildImage(docker, 'small', [9_000], 'small')
    const name = `${host}/team/many:1`
    await docker.must(['tag', 'small', name])
    const moved = digestIn(await docker.must(['push', name]))
    expect(moved).not.toBe(digest)
    await docker.must(['rmi', name])
    expect(await docker.must(['pull', name])).toContain(`Digest: ${moved}\n`)
    await expectWhole(docker, name, [9_000], 'small')
    expect((await docker.run(['pull', `${host}/team/many@${digest}`])).code).toBe(0)
  })

  test('several images are pushed at once, all into one repository', async () => {
    const seeds = ['one', 'two', 'three', 'four']
    for (const seed of seeds) await buildImage(docker, `${host}/crowd:${seed}`, [400_000, 2_000_000], seed)
    await Promise.all(seeds.map((seed) => docker.must(['push', `${host}/crowd:${seed}`])))
    await docker.must(['rmi', ...seeds.map((seed) => `${host}/crowd:${seed}`)])
    await Promise.all(seeds.map((seed) => docker.must(['pull', `${host}/crowd:${seed}`])))
    for (const seed of seeds) await expectWhole(docker, `${host}/crowd:${seed}`, [400_000, 2_000_000], seed)
  })

  test('an image that is not there is reported as such', async () => {
    const { code, stderr } = await docker.run(['pull', `${host}/team/many:no-such-tag`])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `Error response from daemon: manifest for ${host}/team/many:no-such-tag not found: manifest unknown: manifest unknown\n`,
    })
  })

  test('what was pushed outlives a kill and a new start on the same data', async () => {
    await berth.kill()
    const again = await startBerth({
      dataDirectory: berth.dataDirectory,
      args: ['--addr', `127.0.0.1:${berth.port}`],
      env: { BERTH_ADMIN_PASSWORD: PASSWORD },
    })
    try {
      const name = `${host}/other/copy:1`
      await docker.run(['rmi', '--force', name, 'many'])
      await docker.must(['pull', name])
      await expectWhole(docker, name, MANY, 'many')
    } finally {
      await again.dispose()
    }
  })
})

describeWith(['docker', 'dockerd', 'busybox'], 'docker and a changed password of admin', () => {
  let dockerd: Dockerd | undefined
  let berth: Berth

  beforeAll(async () => {
    dockerd = await startDockerd()
    berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
  })

  afterAll(async () => {
    await berth?.dispose()
    await dockerd?.dispose()
  })

  /** Exit code of a login with a client that knows nothing yet. */
  const login = async (password: string, port: number) => {
    if (dockerd === undefined) throw new Error('no dockerd')
    const docker = dockerd.client()
    const command = ['login', '-u', 'admin', '--password-stdin', `localhost:${port}`]
    return (await docker.run(command, { stdin: password })).code
  }
  const passwd = (password: string) =>
    run([BERTH, 'user', 'passwd', 'admin', '--data', berth.dataDirectory], { stdin: `${password}\n` })

  test('on a running server `berth user passwd` counts at once', async () => {
    expect(await login(PASSWORD, berth.port)).toBe(0)
    expect(await passwd('second-password-of-admin')).toMatchObject({ code: 0 })
    expect(await login(PASSWORD, berth.port)).toBe(1)
    expect(await login('second-password-of-admin', berth.port)).toBe(0)
  })

  test('on a stopped one it counts after the next start', async () => {
    expect(await berth.stop()).toBe(0)
    expect(await passwd('third-password-of-admin')).toMatchObject({ code: 0 })
    const again = await startBerth({ dataDirectory: berth.dataDirectory })
    try {
      expect(await login('second-password-of-admin', again.port)).toBe(1)
      expect(await login('third-password-of-admin', again.port)).toBe(0)
    } finally {
      await again.dispose()
    }
  })

  test('the password may come from BERTH_PASSWORD', async () => {
    const command = [BERTH, 'user', 'passwd', 'admin', '--data', berth.dataDirectory]
    expect(await run(command, { env: { BERTH_PASSWORD: 'fourth-password-of-admin' } })).toMatchObject({ code: 0 })
    const again = await startBerth({ dataDirectory: berth.dataDirectory })
    try {
      expect(await login('fourth-password-of-admin', again.port)).toBe(0)
    } finally {
      await again.dispose()
    }
  })
})

describeWith(['docker', 'dockerd', 'busybox'], 'docker without login where the registry is open for pulls', () => {
  let dockerd: Dockerd | undefined
  let berth: Berth

  beforeAll(async () => {
    dockerd = await startDockerd()
    berth = await startBerth({
      config: 'version: 0.1\nauth:\n  anonymous: pull\n',
      env: { BERTH_ADMIN_PASSWORD: PASSWORD },
    })
  })

  afterAll(async () => {
    await berth?.dispose()
    await dockerd?.dispose()
  })

  test('a stranger pulls what admin pushed, and may not push', async () => {
    if (dockerd === undefined) throw new Error('no dockerd')
    const name = `localhost:${berth.port}/public:1`
    const admin = dockerd.client()
    await importBase(admin)
    await buildImage(admin, name, [30_000], 'public')
    await admin.must(['login', '-u', 'admin', '--password-stdin', `localhost:${berth.port}`], { stdin: PASSWORD })
    await admin.must(['push', name])
    await admin.must(['rmi', name])

    const stranger = dockerd.client()
    await stranger.must(['pull', name])
    await expectWhole(stranger, name, [30_000], 'public')
    await stranger.must(['tag', name, `localhost:${berth.port}/public:2`])
    const pushed = await stranger.run(['push', `localhost:${berth.port}/public:2`])
    expect(pushed.code).toBe(1)
    expect(pushed.stderr).toMatch(/denied|unauthorized/)
    expect((await admin.run(['pull', `localhost:${berth.port}/public:2`])).stderr).toContain('manifest unknown')
  })
})
