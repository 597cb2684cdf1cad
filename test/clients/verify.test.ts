import { afterAll, beforeAll, expect, test } from 'bun:test'
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { hexOf } from '../../src/oci/digest.ts'
import { makeImage, writeLayout } from '../image.ts'
import { describeWith, must, program, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'

/** A blob rots on the disk of a real server, and an ordinary client mends it. */
describeWith(['skopeo'], 'a damaged blob', () => {
  const image = makeImage({ layers: [400_000, 30_000], seed: 'rot' })
  const layer = image.layers[0] ?? image.config
  let folder = ''
  let berth: Berth

  const skopeo = (...args: string[]) => must([program('skopeo'), ...args])
  const push = () =>
    skopeo(
      'copy',
      '--dest-tls-verify=false',
      `oci:${folder}/image:latest`,
      `docker://localhost:${berth.port}/team/app:1`,
    )
  const verify = (...args: string[]) => run([BERTH, 'verify', ...args, '--data', berth.dataDirectory])
  const status = async (method: string) =>
    (await fetch(`${berth.url}/v2/team/app/blobs/${layer.digest}`, { method })).status
  /** Where the file of the layer is now: a blob that was healed has another name. */
  const file = () => {
    const hex = hexOf(layer.digest)
    const place = join(berth.dataDirectory, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex)
    return join(place, readdirSync(place)[0] ?? '')
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-rot-'))
    berth = await startBerth({ env: { REGISTRY_AUTH: 'none' } })
    writeLayout(join(folder, 'image'), image, 'latest')
    await push()
  })
  afterAll(async () => {
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  test('is found, put aside while the server runs, pushed again by skopeo, and pulled byte for byte', async () => {
    expect(await verify('--deep')).toMatchObject({ code: 0, stdout: expect.stringContaining('All is well') })
    const fd = openSync(file(), 'r+')
    writeSync(fd, 'rot', 1000)
    closeSync(fd)
    // Nobody knows of it yet: a push changes nothing.
    await push()
    expect(await verify()).toMatchObject({ code: 0 })
    const { code, stdout } = await verify('--deep')
    expect(code).toBe(1)
    for (const text of [`blob ${layer.digest}`, 'affects team/app:1']) expect(stdout).toContain(text)
    expect(await status('HEAD')).toBe(200)

    const lines = (await verify('--deep', '--repair', '--format', 'ndjson')).stdout.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { kind: 'blob-digest', outcome: 'healing', affected: [{ repository: 'team/app', tag: '1' }] },
    ])
    expect([await status('HEAD'), await status('GET')]).toEqual([404, 404])
    const known = JSON.parse((await verify('status', '--format', 'json')).stdout)
    expect(known).toMatchObject({ damaged: [{ digest: layer.digest, reason: 'digest' }], latest: { left: 1 } })

    await push()
    expect(await verify('--deep')).toMatchObject({ code: 0 })
    await skopeo(
      ...['copy', '--src-tls-verify=false', `docker://localhost:${berth.port}/team/app:1`, `oci:${folder}/back:latest`],
    )
    for (const { digest, bytes } of [image.config, ...image.layers]) {
      expect(Buffer.compare(readFileSync(join(folder, 'back/blobs', digest.replace(':', '/'))), bytes)).toBe(0)
    }
    expect(readdirSync(join(berth.dataDirectory, 'berth-quarantine'))).toHaveLength(1)
    expect(await verify('stop')).toMatchObject({ code: 1, stderr: 'berth: no verification is under way\n' })
  })

  test('that may not be read is told, and left where it is, by a command that owns the stopped registry', async () => {
    await berth.stop()
    const path = file()
    // An administrator reads everything, unless that right is taken away.
    const rights = '-dac_override,-dac_read_search'
    const strip =
      process.getuid?.() === 0
        ? [program('setpriv', 'util-linux'), `--bounding-set=${rights}`, `--inh-caps=${rights}`]
        : []
    const look = async () => {
      const args = ['verify', '--repair', '--format', 'json', '--data', berth.dataDirectory]
      const { code, stdout, stderr } = await run([...strip, BERTH, ...args])
      return { code, stderr, findings: JSON.parse(stdout).findings }
    }
    const forbidden = { kind: 'blob-forbidden', severity: 'fault', outcome: 'found', affected: [{ tag: '1' }] }
    chmodSync(path, 0)
    expect(await look()).toMatchObject({ code: 1, stderr: '', findings: [forbidden] })
    chmodSync(path, 0o644)
    // What is in it is not missing, and the rest is looked at.
    const folder = dirname(path)
    const other = join(berth.dataDirectory, 'docker/registry/v2/blobs/notes.txt')
    for (const mode of [0, 0o444, 0o111]) {
      writeFileSync(other, 'x')
      utimesSync(other, 0, 0)
      chmodSync(folder, mode)
      const found = await look()
      chmodSync(folder, 0o755)
      expect(found.code).toBe(1)
      const kinds = found.findings.map(({ kind, outcome }: { kind: string; outcome: string }) => `${kind} ${outcome}`)
      expect(kinds.sort()).toEqual([
        ...(mode === 0o111 ? [] : ['blob-forbidden found']),
        'folder-unreadable found',
        'stranger mended',
      ])
    }
    expect(await verify('--deep')).toMatchObject({ code: 0 })
  })

  test('is no matter of a wrong command line', async () => {
    for (const args of [['--rate', 'fast'], ['something'], ['--deep=yes']]) {
      expect(await verify(...args)).toMatchObject({ code: 2, stdout: '' })
    }
  })
})
