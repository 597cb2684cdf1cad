import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage, noise, writeLayout } from '../image.ts'
import { describeWith, program, type RunOptions, run } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { podmanEnvironment } from './podman-environment.ts'

const PASSWORD = 'a-password-for-admin'
const SIZES = [1_000, 600_000, 20_000_000]

describeWith(['podman'], 'podman against berth serve without a configuration', () => {
  let folder = ''
  let berth: Berth
  let host = ''

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-podman-'))
    berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
    host = `localhost:${berth.port}`
    writeLayout(join(folder, 'layout'), makeImage({ layers: SIZES, seed: 'podman' }), 'latest')
  })

  afterAll(async () => {
    await podman(['image', 'unmount', '--all', '--force'])
    await podman(['rmi', '--all', '--force'])
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  /** podman with a storage and credentials of its own. */
  const podman = (args: readonly string[], options: RunOptions = {}) =>
    run(
      [
        program('podman'),
        ...['--root', join(folder, 'root'), '--runroot', join(folder, 'runroot'), '--tmpdir', join(folder, 'tmp')],
        ...['--storage-driver', 'vfs', '--log-level', 'error', ...args],
      ],
      {
        ...options,
        cwd: folder,
        env: { ...podmanEnvironment(folder), REGISTRY_AUTH_FILE: join(folder, 'auth.json'), XDG_RUNTIME_DIR: folder },
      },
    )
  const login = (password: string) =>
    podman(['login', '--tls-verify=false', '-u', 'admin', '--password-stdin', host], { stdin: password })

  let id = ''

  test('a wrong password is refused, the right one accepted', async () => {
    const refused = await login('wrong')
    expect(refused.code).toBe(125)
    expect(refused.stderr).toContain('invalid username/password')
    expect(await login(PASSWORD)).toMatchObject({ code: 0, stdout: 'Login Succeeded!\n' })
  })

  test('an image is pushed', async () => {
    const loaded = await podman(['pull', 'oci:layout:latest'])
    expect(loaded.code).toBe(0)
    id = loaded.stdout.trim()
    expect(await podman(['tag', id, `${host}/team/app:1`])).toMatchObject({ code: 0 })
    expect(await podman(['push', '--tls-verify=false', `${host}/team/app:1`])).toMatchObject({ code: 0 })
  })

  test('and pulled back, the same image with the same files', async () => {
    expect(await podman(['rmi', '--force', id])).toMatchObject({ code: 0 })
    const pulled = await podman(['pull', '--tls-verify=false', `${host}/team/app:1`])
    expect({ code: pulled.code, id: pulled.stdout.trim() }).toEqual({ code: 0, id })
    const mounted = await podman(['image', 'mount', `${host}/team/app:1`])
    for (const [index, size] of SIZES.entries()) {
      const file = Bun.file(join(mounted.stdout.trim(), `layer-${index}`))
      expect(Bun.SHA256.hash(await file.bytes(), 'hex')).toBe(Bun.SHA256.hash(noise(size, `podman/${index}`), 'hex'))
    }
    expect(await podman(['image', 'unmount', `${host}/team/app:1`])).toMatchObject({ code: 0 })
  })

  test('podman search lists it by its name', async () => {
    const found = await podman(['search', '--tls-verify=false', '--format', '{{.Name}}', `${host}/app`])
    expect(found).toMatchObject({ code: 0, stdout: `${host}/team/app\n` })
  })

  test('after a logout nothing is pulled', async () => {
    expect(await podman(['logout', host])).toMatchObject({ code: 0 })
    expect(await podman(['rmi', '--force', id])).toMatchObject({ code: 0 })
    const pulled = await podman(['pull', '--tls-verify=false', `${host}/team/app:1`])
    expect(pulled.code).toBe(125)
    expect(pulled.stderr).toMatch(/unauthorized|authentication required|denied/)
  })
})
