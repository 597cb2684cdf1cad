import { afterAll, beforeAll, expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import project from '../../package.json' with { type: 'json' }
import { type Docker, type Dockerd, startDockerd } from '../dockerd.ts'
import { buildImage, expectedSums, importBase } from '../image.ts'
import { describeWith, shell } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'

describeWith(['docker', 'dockerd', 'busybox'], 'the first minute with Berth', () => {
  let dockerd: Dockerd | undefined
  let docker: Docker
  let berth: Berth
  let lines: string[] = []

  beforeAll(async () => {
    berth = await startBerth()
    dockerd = await startDockerd()
    docker = dockerd.client()
    await importBase(docker)
    await buildImage(docker, 'hello-world', [20_000], 'hello')
  })

  afterAll(async () => {
    await berth?.dispose()
    await dockerd?.dispose()
  })

  test('`npm start` is the server that this test starts, with a data directory in the project', () => {
    expect(project.scripts.start).toBe('exec bin/berth serve --data data')
  })

  test('it prints how to log in, tag and push', () => {
    lines = berth
      .log()
      // A line that ends so goes on below.
      .replaceAll(' \\\n', ' ')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.startsWith('docker '))
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['login', 'tag', 'push'])
  })

  test('each of these lines works as it stands', async () => {
    const results = []
    for (const line of lines) results.push(await shell(line, { env: docker.env }))
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0])
    expect(results[0]?.stdout).toBe('Login Succeeded\n')
  })

  test('and what was pushed can be pulled and run', async () => {
    const name = lines.at(-1)?.split(' ').at(-1) ?? 'none'
    await docker.must(['rmi', name, 'hello-world'])
    await docker.must(['pull', name])
    expect(await docker.must(['run', '--rm', '--network', 'host', name])).toBe(expectedSums([20_000], 'hello'))
  })

  test('the password that it made is for its owner alone', () => {
    expect(statSync(join(berth.dataDirectory, 'berth-admin-password')).mode & 0o777).toBe(0o600)
  })
})
