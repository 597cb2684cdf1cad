import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import project from '../package.json' with { type: 'json' }
import { freePort } from './free-port.ts'
import { cleanEnvironment, describeWith, must, run } from './programs.ts'

const HOME = join(import.meta.dir, '..')
const BUILD_MS = 600_000

/** Runs against the executable as they do against `bin/berth`. */
const SMOKE = [
  'test/clients/docker.test.ts',
  'test/clients/foreign-folder.test.ts',
  'test/clients/quick-start.test.ts',
  'test/crash/stop.test.ts',
  'test/start-failures.test.ts',
]

/** Makes the executable and lays it into a folder that has nothing else, below no node_modules. */
async function build(
  target: string,
): Promise<{ folder: string; program: string; environment: Record<string, string> }> {
  await must([join(HOME, 'bin/run-bun'), 'build/executable.ts', target], { cwd: HOME, timeoutMs: BUILD_MS })
  const folder = mkdtempSync(join(tmpdir(), 'berth-executable-'))
  const program = join(folder, 'berth')
  copyFileSync(join(HOME, 'dist', `berth-${target}`), program)
  mkdirSync(join(folder, 'empty'))
  return { folder, program, environment: { PATH: join(folder, 'empty'), HOME: folder } }
}

describe('the single-file executable', () => {
  let built: Awaited<ReturnType<typeof build>>
  beforeAll(async () => {
    built = await build('linux-x64')
  }, BUILD_MS)
  afterAll(() => rmSync(built.folder, { recursive: true }))

  test('runs with no program on the path and nothing beside it', async () => {
    const { folder, program, environment } = built
    const child = Bun.spawn([program, 'version'], { cwd: folder, env: environment, stdout: 'pipe', stderr: 'pipe' })
    expect(await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])).toEqual([
      expect.stringMatching(new RegExp(`^berth ${project.version} \\(bun \\S+, linux-x64\\)\n$`)),
      '',
      0,
    ])
  })

  test('has what is loaded at its first use', async () => {
    const { folder, program } = built
    const config = join(folder, 'auth_config.yml')
    const text = `
server: {addr: "127.0.0.1:0"}
token: {issuer: a, expiration: 900}
ldap_auth: {addr: "127.0.0.1:1", tls: none, base: "dc=a", filter: "(uid=\${account})"}
casbin_authz: {model_path: model.conf, policy_path: policy.csv}
`
    await Bun.write(config, text)
    const { code, stderr } = await run([program, 'auth', config, '--addr', '127.0.0.1:0'], { cwd: folder })
    // It came as far as the rules, which are not there.
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('model.conf') })
  })

  describeWith(['docker', 'dockerd', 'busybox'], 'stands in for bin/berth', () => {
    test(`in ${SMOKE.join(', ')}`, async () => {
      const tests = Bun.spawn([join(HOME, 'bin/run-bun'), 'test/run.ts', ...SMOKE], {
        ...{ cwd: HOME, stdout: 'pipe', stderr: 'pipe' },
        env: { ...cleanEnvironment({}), BERTH_TEST_PROGRAM: built.program, BERTH_TEST_CLIENTS: 'required' },
      })
      const [said, failures] = await Promise.all([tests.stdout.text(), tests.stderr.text(), tests.exited])
      expect(`${failures}${said}`).toMatch(/\n[1-9]\d* passed, 0 failed\n$/)
    }, 1_200_000)
  })
})

describeWith(['qemu-aarch64-static'], 'the executable for arm64, under emulation', () => {
  let built: Awaited<ReturnType<typeof build>>
  beforeAll(async () => {
    built = await build('linux-arm64')
  }, BUILD_MS)
  afterAll(() => rmSync(built.folder, { recursive: true }))

  test('takes a blob, and gives it back', async () => {
    const { folder, program } = built
    const port = await freePort()
    const emulator = ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu', program]
    const address = `127.0.0.1:${port}`
    const server = Bun.spawn([...emulator, 'serve', '--addr', address, '--data', join(folder, 'data')], {
      ...{ cwd: folder, env: cleanEnvironment({ REGISTRY_AUTH: 'none' }), stdout: 'ignore', stderr: 'pipe' },
    })
    try {
      let log = ''
      for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) {
        log += text
        if (log.includes('listening on')) break
      }
      const bytes = crypto.getRandomValues(new Uint8Array(60_000))
      const digest = `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`
      const blobs = `http://${address}/v2/some/image/blobs`
      const pushed = await fetch(`${blobs}/uploads/?digest=${digest}`, { method: 'POST', body: bytes })
      expect(`${pushed.status} ${log}`).toStartWith('201 ')
      expect(await (await fetch(`${blobs}/${digest}`)).bytes()).toEqual(bytes)
    } finally {
      server.kill()
      expect(await server.exited).toBe(0)
    }
  }, 300_000)
})
