import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { noise } from '../image.ts'
import { describeWith } from '../programs.ts'
import { startRegistry } from '../start-registry.ts'
import { startDebianRegistry } from './debian-registry.ts'
import { openVerbShell } from './verb-shell.ts'

const BYTES = noise(200_000, 'blob')
const DIGEST = digestOf(BYTES)
const OTHER = Buffer.from('other')
const SHA512 = digestOf(BYTES, 'sha512')

describeWith(['docker-registry'], 'blob', () => {
  describe.each(['Berth', 'docker-registry'])('against %s', (name) => {
    let folder: string
    let file: string
    let app: string
    let dispose: () => Promise<void>
    const shell = openVerbShell('/nonexistent')
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'berth-blob-'))
      file = join(folder, 'file')
      writeFileSync(file, BYTES)
      if (name === 'Berth') {
        const registry = await startRegistry({ env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
        app = `127.0.0.1:${registry.port}/app`
        dispose = registry.stop
      } else {
        const registry = await startDebianRegistry('none')
        app = `${registry.host}/app`
        dispose = registry.dispose
      }
      writeFileSync(join(folder, 'other'), OTHER)
      expect((await shell.run('blob', 'put', app, join(folder, 'other'))).code).toBe(0)
    })
    afterAll(async () => {
      await dispose?.()
      rmSync(folder, { recursive: true, force: true })
    })

    test('is put, found, fetched and deleted', async () => {
      const blob = `${app}@${DIGEST}`
      const size = BYTES.byteLength
      expect(await shell.run('blob', 'put', app, file)).toEqual({
        out: `${blob}\n`,
        error: `${DIGEST} copied (195.3 KiB)\n`,
        code: 0,
      })
      // It is there already.
      expect(await shell.run('blob', 'put', blob, file)).toEqual({ out: `${blob}\n`, error: '', code: 0 })
      expect(JSON.parse((await shell.run('blob', 'head', blob, '-f', 'json')).out)).toEqual({
        reference: blob,
        digest: DIGEST,
        size,
      })
      expect((await shell.run('blob', 'head', blob)).out).toBe(
        `Digest  ${DIGEST}\nSize    195.3 KiB (${size.toLocaleString('en-US')} bytes)\n`,
      )
      const copy = join(folder, 'copy')
      expect(await shell.run('blob', 'get', blob, '-o', copy)).toEqual({ out: '', error: '', code: 0 })
      expect(digestOf(readFileSync(copy))).toBe(DIGEST)
      expect(await shell.run('blob', 'put', `${app}@${SHA512}`, file)).toMatchObject({
        out: `${app}@${SHA512}\n`,
        code: 0,
      })
      expect((await shell.run('blob', 'head', `${app}@${SHA512}`)).code).toBe(0)

      expect(await shell.run('blob', 'delete', blob)).toMatchObject({ out: '', code: 64 })
      expect(await shell.runAnswering(['n'], 'blob', 'rm', blob)).toMatchObject({ out: '', code: 1 })
      expect((await shell.run('blob', 'head', blob)).code).toBe(0)
      expect(await shell.run('blob', 'rm', '-f', blob)).toEqual({ out: `${blob}\n`, error: '', code: 0 })
      expect((await shell.run('blob', 'head', blob)).code).toBe(2)
      expect(await shell.run('blob', 'delete', blob)).toMatchObject({ out: '', code: 2 })
      expect(await shell.run('blob', 'delete', '--ignore-missing', blob)).toMatchObject({ out: '', code: 0 })
    })

    test.each<[string, () => string[], number, RegExp]>([
      ['of an image', () => ['head', `${app}:v1`], 64, /is no blob/],
      ['that is not there', () => ['get', `${app}@${digestOf(Buffer.from('none'))}`], 2, /BLOB_UNKNOWN/],
      ['from a file that is not there', () => ['put', app, join(folder, 'none')], 2, /there is no file/],
      [
        'with another digest than it has',
        () => ['put', `${app}@${digestOf(Buffer.from('x'))}`, file],
        1,
        /has the digest/,
      ],
      ['with a tag', () => ['put', `${app}:v1`, file], 64, /has no tag/],
      ['to nowhere', () => ['get', `${app}@${digestOf(OTHER)}`, '-o', join(folder, 'no/where')], 1, /cannot write/],
      ['of no command', () => ['fetch', app], 64, /unknown command/],
    ])('%s is refused', async (_, args, code, message) => {
      const shown = await shell.run('blob', ...args())
      expect([shown.out, shown.code]).toEqual(['', code])
      expect(shown.error).toMatch(message)
      expect(readdirSync(folder).filter((left) => left.endsWith('.part'))).toEqual([])
    })
  })
})
